"""Stops that come before their start or name no transaction; operators resolve the rest."""

import uuid
from datetime import UTC, datetime, timedelta

import grpc
import psycopg
import pytest

from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from servicekit.timestamps import to_timestamp
from tests.integration.session_service.conftest import Platform, at, energy, stop_request
from tests.support.errors import failure

OPEN = pb.QuarantineEntry.STATE_OPEN
RESOLVED = pb.QuarantineEntry.STATE_RESOLVED


async def resolve(platform: Platform, name: str, **values: str) -> pb.QuarantineEntry:
    request = pb.ResolveQuarantineEntryRequest(name=name, **{"comment": "seen to it", **values})
    return await platform.sessions.ResolveQuarantineEntry(
        request, metadata=(("x-requester", "anna"),)
    )


async def test_stop_waits_for_a_start_that_comes_later(platform: Platform) -> None:
    await platform.gateway.stop(
        4711, id_tag="card-1", transaction_data=[energy(1800, "3000"), energy(3600, "5000")]
    )
    (entry,) = await platform.quarantined(state=OPEN)
    assert (entry.reason, entry.state) == ("UNKNOWN_TRANSACTION", OPEN)
    await platform.gateway.start()
    session = await platform.the_session()
    assert (session.state, session.energy_wh) == (pb.Session.STATE_COMPLETED, 4000)
    assert (session.stop_time, list(session.flags)) == (at(3600), ["STOP_MATCHED"])
    values = [it.sampled_values[0].value for it in await platform.meter_values(session)]
    assert values == ["3000", "5000"]
    assert await platform.quarantined(state=OPEN) == []
    (entry,) = await platform.quarantined(state=RESOLVED)
    assert (entry.session, entry.resolved_by) == (session.name, "")
    await platform.gateway.stop(
        4711, id_tag="card-1", transaction_data=[energy(1800, "3000"), energy(3600, "5000")]
    )
    assert await platform.quarantined() == [entry]
    assert await platform.the_session() == session


async def test_start_does_not_wait_for_an_operator_who_resolves_a_stop(
    platform: Platform, database_url: str
) -> None:
    await platform.gateway.stop(4711)
    with psycopg.connect(database_url) as operator:
        operator.execute("SELECT FROM session.orphan_stops FOR UPDATE")
        assert (await platform.gateway.start()).transaction_id > 0
    assert (await platform.the_session()).state == pb.Session.STATE_ACTIVE


async def test_stop_waits_only_for_what_it_fits(platform: Platform) -> None:
    await platform.gateway.stop(4711, id_tag="CARD-1")
    for values in (
        {"id_tag": "OTHER"},
        {"meter_start": 5001},
        {"timestamp": at(3600)},
        {"charge_point_id": "CP-2"},
    ):
        started = await platform.gateway.start(**values)
        session = await platform.session(started.transaction_id)
        assert session.state == pb.Session.STATE_ACTIVE, values
    (entry,) = await platform.quarantined(state=OPEN)
    assert entry.action == "StopTransaction"


async def test_start_that_happens_now_has_no_stop_though_a_clock_was_ahead(
    platform: Platform,
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await platform.gateway.stop(4711, timestamp=to_timestamp(tomorrow))
    await platform.gateway.start(timestamp=to_timestamp(datetime.now(UTC)))
    assert (await platform.the_session()).state == pb.Session.STATE_ACTIVE


async def test_earliest_of_several_stops_is_that_of_the_start(platform: Platform) -> None:
    await platform.gateway.stop(4712, timestamp=at(7200), meter_stop=9000)
    await platform.gateway.stop(4711)
    await platform.gateway.start()
    assert (await platform.the_session()).meter_stop_wh == 5000
    assert len(await platform.quarantined(state=OPEN)) == 1


async def test_true_stop_takes_the_place_of_a_matched_one(platform: Platform) -> None:
    await platform.gateway.stop(4711)
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(transaction_id, meter_stop=6000)
    session = await platform.the_session()
    assert (session.meter_stop_wh, list(session.flags)) == (6000, ["END_CORRECTED"])


@pytest.mark.parametrize("transaction_id", [0, -1, 9223372036854766666])
async def test_stop_that_names_no_transaction_ends_the_only_one_that_it_fits(
    platform: Platform, transaction_id: int
) -> None:
    await platform.gateway.start(connector_id=2, id_tag="OTHER")
    started = (await platform.gateway.start()).transaction_id
    for _ in range(2):
        await platform.gateway.stop(transaction_id, id_tag="CARD-1")
    session = await platform.session(started)
    assert (session.energy_wh, list(session.flags)) == (4000, ["STOP_MATCHED"])
    (entry,) = await platform.quarantined()
    assert (entry.state, entry.session) == (RESOLVED, session.name)


async def test_stop_that_waits_ends_nothing_when_it_is_repeated(platform: Platform) -> None:
    await platform.gateway.start()
    other = (await platform.gateway.start(connector_id=2)).transaction_id
    await platform.gateway.stop(0)
    await platform.gateway.stop(other)
    await platform.gateway.stop(0)  # now there is only one that it fits
    assert len(await platform.all_sessions(state=pb.Session.STATE_ACTIVE)) == 1
    assert [it.state for it in await platform.quarantined()] == [OPEN]


async def test_matched_stop_is_kept_when_the_true_one_takes_its_place(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(0, meter_stop=4000)
    await platform.gateway.stop(transaction_id)
    (entry,) = await platform.quarantined()
    assert '"meterStop":4000' in entry.raw_text


async def test_repeat_of_a_matched_stop_is_answered_as_the_first(platform: Platform) -> None:
    await platform.tag()
    await platform.gateway.start()
    first = await platform.gateway.stop(0, id_tag="CARD-1")
    await platform.block("CARD-1")
    assert await platform.gateway.stop(0, id_tag="CARD-1") == first


async def test_stop_that_fits_two_sessions_or_names_a_strange_one_waits(platform: Platform) -> None:
    await platform.gateway.start()
    await platform.gateway.start(connector_id=2)
    for transaction_id in (0, 4711):
        await platform.gateway.stop(transaction_id)
    assert {it.state for it in await platform.all_sessions()} == {pb.Session.STATE_ACTIVE}
    assert len(await platform.quarantined(state=OPEN)) == 2


async def test_operator_resolves_an_entry_once(platform: Platform) -> None:
    await platform.gateway.stop(4711)
    (entry,) = await platform.quarantined()
    resolved = await resolve(platform, entry.name)
    assert (resolved.state, resolved.resolution) == (RESOLVED, "seen to it")
    assert (resolved.resolved_by, resolved.session) == ("anna", "")
    assert resolved.HasField("resolve_time")
    request = pb.GetQuarantineEntryRequest(name=entry.name)
    assert await platform.sessions.GetQuarantineEntry(request) == resolved
    assert await resolve(platform, entry.name) == resolved
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await resolve(platform, entry.name, comment="otherwise")
    assert failure(refused).reason == "QUARANTINE_ENTRY_ALREADY_RESOLVED"
    await platform.gateway.start()
    assert (await platform.the_session()).state == pb.Session.STATE_ACTIVE


async def test_operator_gives_a_stop_to_its_session(platform: Platform) -> None:
    await platform.gateway.start()
    await platform.gateway.start("CP-2")
    await platform.gateway.stop(4711, meter_stop=500, transaction_data=[energy(60, "700")])
    (entry,) = await platform.quarantined()
    other, session = await platform.all_sessions()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await resolve(platform, entry.name, session=other.name)
    assert set(failure(refused).fields) == {"session"}
    assert (await resolve(platform, entry.name, session=session.name)).session == session.name
    session = await platform.session(session.ocpp_transaction_id)
    assert (session.meter_stop_wh, session.energy_wh) == (500, 0)
    assert list(session.flags) == ["STOP_MATCHED", "METER_STOP_BELOW_START", "METER_DIP"]
    assert len(await platform.meter_values(session)) == 1


async def test_session_that_was_stopped_takes_no_second_stop(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(transaction_id)
    await platform.gateway.stop(4711)
    (entry,) = await platform.quarantined()
    session = await platform.the_session()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await resolve(platform, entry.name, session=session.name)
    assert failure(refused).reason == "SESSION_ALREADY_ENDED"
    assert [it.state for it in await platform.quarantined()] == [OPEN]


async def test_second_stop_ends_another_session_when_an_operator_says_so(
    platform: Platform,
) -> None:
    await platform.tag()
    stale = (await platform.gateway.start()).transaction_id
    await platform.gateway.stop(stale)
    said = {"id_tag": "CARD-1", "timestamp": at(9000), "meter_stop": 6000}
    first = await platform.gateway.stop(stale, **said, transaction_data=[energy(8000, "5500")])
    started = (await platform.gateway.start(timestamp=at(7200), meter_start=5000)).transaction_id
    session = await platform.session(started)
    assert session.state == pb.Session.STATE_ACTIVE
    (entry,) = await platform.quarantined(reason="SECOND_STOP")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await resolve(platform, entry.name, session=(await platform.session(stale)).name)
    assert failure(refused).reason == "SESSION_ALREADY_ENDED"
    assert await platform.quarantined(state=OPEN) == [entry]
    await resolve(platform, entry.name, session=session.name)
    session = await platform.session(started)
    assert (session.meter_stop_wh, list(session.flags)) == (6000, ["STOP_MATCHED"])
    assert len(await platform.meter_values(session)) == 1
    again = await platform.gateway.stop(stale, **said, transaction_data=[energy(8000, "5500")])
    assert again == first
    assert await platform.quarantined(state=OPEN) == []


async def test_stop_that_names_none_waits_while_a_late_start_is_one_of_several_that_it_fits(
    platform: Platform,
) -> None:
    for connector_id in (1, 2):
        running = (await platform.gateway.start(connector_id=connector_id)).transaction_id
    await platform.gateway.stop(0)
    await platform.gateway.stop(4711, timestamp=at(3700))
    await platform.gateway.stop(running)
    late = (await platform.gateway.start(connector_id=3)).transaction_id
    session = await platform.session(late)
    assert (session.stop_time, list(session.flags)) == (at(3700), ["STOP_MATCHED"])
    (entry,) = await platform.quarantined(state=OPEN)
    assert "transaction 0" in entry.detail


async def test_entries_are_listed_by_state_and_reason(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    for meter_stop in (5000, 6000):
        await platform.gateway.stop(transaction_id, meter_stop=meter_stop)
    await platform.gateway.stop(4711)
    (second,) = await platform.quarantined(reason="SECOND_STOP")
    (unknown,) = await platform.quarantined(reason="UNKNOWN_TRANSACTION")
    await resolve(platform, second.name)
    assert await platform.quarantined(state=OPEN) == [unknown]
    assert [it.name for it in await platform.quarantined(state=RESOLVED)] == [second.name]


async def test_bad_requests_hear_all_their_violations(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await platform.quarantined(reason="NONSENSE", charge_point="x", page_size=-1)
    assert set(failure(refused).fields) == {"reason", "charge_point", "page_size"}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await resolve(platform, "quarantine/x", comment=" ", session="sessions/x")
    assert set(failure(refused).fields) == {"name", "comment", "session"}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await resolve(platform, f"quarantine/{uuid.uuid4()}")
    assert failure(refused).reason == "QUARANTINE_ENTRY_NOT_FOUND"


async def test_kept_stop_is_read_as_it_was_sent(platform: Platform) -> None:
    sample = types_pb2.MeterValue(
        timestamp=at(5), sampled_value=[types_pb2.SampledValue(value="1600")]
    )
    request = stop_request(4711, meter_stop=1700, transaction_data=[sample])
    await platform.gateway.exchange(
        "CP-1", request, repairs=["fractional_register_rounded"], raw_frame='[2,"x"]'
    )
    await platform.gateway.start()
    session = await platform.the_session()
    assert list(session.flags) == ["STOP_REPAIRED", "STOP_MATCHED", "METER_REPAIRED"]
