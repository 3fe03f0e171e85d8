"""SessionService: lists, filters, pages and refusals."""

import uuid
from typing import Any

import grpc
import pytest

from csms.v1 import session_service_pb2 as pb
from session_service.store import paging
from tests.integration.session_service.conftest import Platform, at, energy
from tests.support.errors import failure
from tests.support.pages import every_page


async def some_sessions(platform: Platform) -> None:
    """Make four sessions, the second of which has ended."""
    await platform.tag("Card-A")
    await platform.gateway.start("CP-1", id_tag="Card-A", timestamp=at(100))
    second = await platform.gateway.start("CP-2", id_tag="CARD-A", timestamp=at(200))
    await platform.gateway.start("CP-1", id_tag="B", timestamp=at(0), connector_id=2)
    await platform.gateway.start("CP-3", id_tag="B", timestamp=at(300))
    await platform.gateway.stop(second.transaction_id, "CP-2")


@pytest.mark.parametrize(
    ("filters", "starts"),
    [
        ({}, [300, 0, 200, 100]),
        ({"charge_point": "chargePoints/CP-1"}, [0, 100]),
        ({"id_tag": "idTags/card-a"}, [200, 100]),
        ({"id_tag": "idTags/card"}, []),
        ({"state": pb.Session.STATE_ACTIVE}, [300, 0, 100]),
        ({"state": pb.Session.STATE_COMPLETED}, [200]),
        ({"start_time_from": at(100)}, [300, 200, 100]),
        ({"start_time_until": at(200)}, [100, 0]),
        ({"start_time_from": at(100), "start_time_until": at(300), "id_tag": "idTags/b"}, []),
    ],
)
async def test_sessions_are_filtered_and_newest_first(
    platform: Platform, filters: dict[str, Any], starts: list[int]
) -> None:
    await some_sessions(platform)
    page = await platform.sessions.ListSessions(pb.ListSessionsRequest(**filters))
    begun = [session.start_time.seconds - at(0).seconds for session in page.sessions]
    assert (begun, page.total_size) == (starts, len(starts))


async def test_pages_hold_every_session_once(platform: Platform) -> None:
    await some_sessions(platform)
    request = pb.ListSessionsRequest(page_size=3)
    first = await platform.sessions.ListSessions(request)
    request.page_token = first.next_page_token
    second = await platform.sessions.ListSessions(request)
    paged = [*first.sessions, *second.sessions]
    assert [len(first.sessions), len(second.sessions), second.next_page_token] == [3, 1, ""]
    assert paged == await platform.all_sessions()


async def test_pages_of_a_range_of_starts_come_by_start(platform: Platform) -> None:
    await some_sessions(platform)
    request = pb.ListSessionsRequest(page_size=1, start_time_from=at(0), start_time_until=at(300))
    pages = await every_page(platform.sessions.ListSessions, request)
    begun = [session.start_time.seconds for page in pages for session in page.sessions]
    assert begun == [at(seconds).seconds for seconds in (200, 100, 0)]


async def test_lists_count_to_a_bound(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    await some_sessions(platform)
    for number in range(3):
        await platform.gateway.stop(4000 + number)
    for bound, counted in ((5, (4, 3)), (3, (3, 3)), (2, (2, 2))):
        monkeypatch.setattr(paging, "MOST_COUNTED", bound)
        sessions = await platform.sessions.ListSessions(pb.ListSessionsRequest(page_size=4))
        entries = await platform.sessions.ListQuarantineEntries(
            pb.ListQuarantineEntriesRequest(page_size=3)
        )
        assert (sessions.total_size, entries.total_size) == counted
        assert (len(sessions.sessions), len(entries.quarantine_entries)) == (4, 3)


async def test_every_violation_of_a_list_request_is_reported_at_once(platform: Platform) -> None:
    request = pb.ListSessionsRequest(
        page_size=-1, charge_point="CP-1", id_tag="tags/1", start_time_from=at(0)
    )
    request.start_time_from.seconds = 2**60
    request.MergeFromString(b"\x28\x09")  # state: 9, which no version knows
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.sessions.ListSessions(request)
    assert failure(raised).reason == "INVALID_REQUEST"
    assert set(failure(raised).fields) == {
        "page_size",
        "charge_point",
        "id_tag",
        "state",
        "start_time_from",
    }


@pytest.mark.parametrize("name", ["chargePoints/a\0b", "chargePoints/a/b"])
async def test_impossible_charge_point_is_refused(platform: Platform, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.quarantined(charge_point=name)
    assert failure(raised).fields == ("charge_point",)


async def test_unknown_session_is_not_found(platform: Platform) -> None:
    name = f"sessions/{uuid.uuid4()}"
    for call in (
        platform.sessions.GetSession(pb.GetSessionRequest(name=name)),
        platform.sessions.ListMeterValues(pb.ListMeterValuesRequest(parent=name)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert failure(raised).code is grpc.StatusCode.NOT_FOUND
        assert failure(raised).reason == "SESSION_NOT_FOUND"


async def test_name_that_is_none_is_refused(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.sessions.GetSession(pb.GetSessionRequest(name="sessions/42"))
    assert failure(raised).fields == ("name",)
    request = pb.ListMeterValuesRequest(parent="transactions/1", page_size=-1)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.sessions.ListMeterValues(request)
    assert failure(raised).fields == ("page_size", "parent")


async def test_page_token_is_good_for_its_own_list_only(platform: Platform) -> None:
    await some_sessions(platform)
    for number in range(2):
        await platform.gateway.stop(4000 + number)
    sessions = await platform.sessions.ListSessions(pb.ListSessionsRequest(page_size=1))
    entries = await platform.sessions.ListQuarantineEntries(
        pb.ListQuarantineEntriesRequest(page_size=1)
    )
    assert (len(entries.quarantine_entries), entries.total_size) == (1, 2)
    for token in ("nonsense", "W10", entries.next_page_token):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await platform.all_sessions(page_token=token)
        assert failure(raised).reason == "INVALID_PAGE_TOKEN"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.quarantined(page_token=sessions.next_page_token)
    assert failure(raised).reason == "INVALID_PAGE_TOKEN"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.all_sessions(page_token=sessions.next_page_token, id_tag="idTags/B")
    assert failure(raised).reason == "INVALID_PAGE_TOKEN"


async def test_quarantine_is_paged_newest_first(platform: Platform) -> None:
    for number in range(3):
        await platform.gateway.stop(4000 + number, f"CP-{number}")
    request = pb.ListQuarantineEntriesRequest(page_size=2)
    first = await platform.sessions.ListQuarantineEntries(request)
    request.page_token = first.next_page_token
    second = await platform.sessions.ListQuarantineEntries(request)
    entries = [*first.quarantine_entries, *second.quarantine_entries]
    assert [entry.charge_point[-1] for entry in entries] == ["2", "1", "0"]
    assert second.next_page_token == ""
    assert len(await platform.quarantined(charge_point="chargePoints/CP-1")) == 1


async def test_running_session_has_no_energy_without_a_register(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(1, "unknown"), transaction_id=transaction_id)
    assert not (await platform.the_session()).HasField("energy_wh")
