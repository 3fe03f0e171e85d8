"""Sessions whose stop does not come: ended without it, and corrected when it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest

from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from servicekit.timestamps import to_timestamp
from session_service.use_cases import endings
from tests.fakes.charge_points import FakeChargePoints
from tests.integration.session_service.conftest import Platform, at, energy, session_gateway
from tests.support.errors import failure
from tests.support.services import free_address, serving_methods
from tests.support.waiting import eventually

INFERRED = pb.Session.SOURCE_INFERRED
STATION = pb.Session.SOURCE_STATION
OPERATOR = pb.Session.SOURCE_OPERATOR


def end(session: pb.Session) -> tuple[object, ...]:
    return session.stop_source, session.stop_time, session.meter_stop_wh, list(session.flags)


async def test_every_session_tells_how_its_ends_are_known(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    session = await platform.the_session()
    assert (session.start_source, session.stop_source) == (STATION, pb.Session.SOURCE_UNSPECIFIED)
    await platform.gateway.stop(transaction_id)
    assert (await platform.the_session()).stop_source == STATION


async def test_next_start_on_the_connector_ends_the_session_before(platform: Platform) -> None:
    first = (await platform.gateway.start()).transaction_id
    elsewhere = (await platform.gateway.start(connector_id=2)).transaction_id
    await platform.gateway.meter(energy(600, "1200"), transaction_id=first)
    await platform.gateway.meter(energy(1800, "1900"), transaction_id=first)
    second = (await platform.gateway.start(timestamp=at(7200), meter_start=2500)).transaction_id
    session = await platform.session(first)
    assert end(session) == (INFERRED, at(1800), 1900, ["STOP_MISSING_NEXT_START"])
    assert session.energy_wh == 900
    for running in (elsewhere, second):
        assert (await platform.session(running)).state == pb.Session.STATE_ACTIVE


async def test_session_whose_stop_is_missing_does_not_use_up_its_tag(platform: Platform) -> None:
    await platform.tag(max_active_transactions=1)
    await platform.gateway.start()
    following = await platform.gateway.start(timestamp=at(7200))
    assert following.id_tag_info.status == types_pb2.AUTHORIZATION_STATUS_ACCEPTED
    elsewhere = await platform.gateway.start(timestamp=at(7300), connector_id=2)
    assert elsewhere.id_tag_info.status == types_pb2.AUTHORIZATION_STATUS_CONCURRENT_TX


async def test_repeated_start_ends_nothing(platform: Platform) -> None:
    first = (await platform.gateway.start()).transaction_id
    assert (await platform.gateway.start()).transaction_id == first
    assert (await platform.session(first)).state == pb.Session.STATE_ACTIVE


async def test_true_stop_corrects_an_inferred_end_once(platform: Platform) -> None:
    await platform.tag()
    first = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(1800, "1900"), transaction_id=first)
    await platform.gateway.start(timestamp=at(7200))
    answer = await platform.gateway.stop(first, id_tag="CARD-1", meter_stop=2400)
    session = await platform.session(first)
    assert end(session) == (STATION, at(3600), 2400, ["END_CORRECTED"])
    assert await platform.gateway.stop(first, id_tag="CARD-1", meter_stop=2400) == answer
    assert await platform.session(first) == session
    assert await platform.quarantined() == []


async def test_stop_by_a_tag_of_the_same_group_is_right(platform: Platform) -> None:
    for tag in ("GROUP", "CARD-3"):
        await platform.tag(tag)
    for tag in ("CARD-1", "CARD-2"):
        await platform.tag(tag, parent="idTags/GROUP")
    flags = {}
    for number, tag in enumerate(("CARD-1", "CARD-2", "GROUP", "CARD-3", "UNKNOWN")):
        charge_point = f"CP-{number}"
        started = await platform.gateway.start(charge_point)
        await platform.gateway.stop(started.transaction_id, charge_point, id_tag=tag)
        flags[tag] = list((await platform.session(started.transaction_id)).flags)
    doubtful = ["STOP_TAG_DIFFERS"]
    assert flags == {
        "CARD-1": [],
        "CARD-2": [],
        "GROUP": [],
        "CARD-3": doubtful,
        "UNKNOWN": doubtful,
    }


async def close(platform: Platform, session: pb.Session, **values: Any) -> pb.Session:
    request = pb.CloseSessionRequest(name=session.name, **values)
    return await platform.sessions.CloseSession(request, metadata=(("x-requester", "anna"),))


async def test_operator_closes_a_session_by_hand(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    await platform.gateway.meter(energy(1800, "1900"), transaction_id=transaction_id)
    closed = await close(platform, await platform.the_session(), comment="burnt down")
    assert end(closed) == (OPERATOR, at(1800), 1900, [])
    assert (closed.close_comment, closed.closed_by) == ("burnt down", "anna")
    assert closed.state == pb.Session.STATE_COMPLETED
    assert await close(platform, closed, comment="burnt down") == closed
    again = await close(platform, closed, stop_time=at(2000), meter_stop_wh=2000)
    assert end(again) == (OPERATOR, at(2000), 2000, [])
    await platform.gateway.stop(transaction_id)
    session = await platform.the_session()
    assert end(session) == (STATION, at(3600), 5000, ["END_CORRECTED"])
    assert (session.close_comment, session.closed_by) == ("burnt down", "anna")


async def test_closing_is_refused_with_all_its_reasons(platform: Platform) -> None:
    transaction_id = (await platform.gateway.start()).transaction_id
    session = await platform.the_session()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await close(platform, session, stop_time=at(-1), meter_stop_wh=999)
    assert set(failure(refused).fields) == {"stop_time", "meter_stop_wh"}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await close(platform, pb.Session(name="sessions/x"), comment="x" * 501)
    assert set(failure(refused).fields) == {"name", "comment"}
    await platform.gateway.stop(transaction_id)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await close(platform, session)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failure(refused).reason == "SESSION_ALREADY_ENDED"


async def test_session_is_not_closed_in_the_future(platform: Platform) -> None:
    await platform.gateway.start()
    tomorrow = to_timestamp(datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await close(platform, await platform.the_session(), stop_time=tomorrow)
    assert failure(refused).fields == ("stop_time",)
    assert (await platform.the_session()).state == pb.Session.STATE_ACTIVE


async def test_energy_is_in_one_session_when_the_charge_point_keeps_an_old_id(
    platform: Platform,
) -> None:
    old = (await platform.gateway.start()).transaction_id
    await close(platform, await platform.the_session())
    new = (await platform.gateway.start(timestamp=at(60), meter_start=1100)).transaction_id
    await platform.gateway.meter(energy(120, "1500"), energy(180, "3000"), transaction_id=old)
    await platform.gateway.start(timestamp=at(240), meter_start=9000)
    energies = [(await platform.session(it)).energy_wh for it in (old, new)]
    assert energies == [0, 1900]


@asynccontextmanager
async def impatient(
    database_url: str, auth_address: str, charge_points: FakeChargePoints, **settings: float
) -> AsyncIterator[Platform]:
    """Serve a session_service that gives sessions up after moments."""
    device = free_address()
    async with (
        serving_methods(charge_points.handlers(), address=device),
        session_gateway(
            database_url, auth_address, device, tend_interval_s=0.05, **settings
        ) as platform,
    ):
        yield platform


async def ended(platform: Platform, transaction_id: int) -> pb.Session:
    """Wait until a session has ended."""

    async def has_ended() -> bool:
        return (await platform.session(transaction_id)).state == pb.Session.STATE_COMPLETED

    await eventually(has_ended)
    return await platform.session(transaction_id)


async def test_session_of_which_nothing_is_heard_after_a_boot_is_given_up(
    database_url: str, auth_address: str
) -> None:
    charge_points = FakeChargePoints()
    async with impatient(database_url, auth_address, charge_points, boot_silence_s=0.2) as platform:
        other = (await platform.gateway.start("CP-2")).transaction_id
        charge_points.booted("CP-2", datetime.now(UTC))
        charge_points.booted("CP-1", datetime.now(UTC))
        running = (await platform.gateway.start()).transaction_id  # after the boot
        assert end(await ended(platform, other)) == (
            INFERRED,
            at(0),
            1000,
            ["STOP_MISSING_BOOT"],
        )
        assert (await platform.session(running)).state == pb.Session.STATE_ACTIVE
        await platform.gateway.meter(energy(60, "1100"), transaction_id=running)
        charge_points.booted("CP-1", datetime.now(UTC))
        assert end(await ended(platform, running))[:3] == (INFERRED, at(60), 1100)


async def test_session_of_a_charge_point_that_is_gone_is_given_up_and_follows_what_it_tells_later(
    database_url: str, auth_address: str
) -> None:
    charge_points = FakeChargePoints()
    async with impatient(
        database_url, auth_address, charge_points, session_silence_s=0.2
    ) as platform:
        transaction_id = (await platform.gateway.start()).transaction_id
        assert end(await ended(platform, transaction_id))[3] == ["STOP_MISSING_SILENCE"]
        await platform.gateway.meter(energy(900, "1800"), transaction_id=transaction_id)

        async def has_followed() -> bool:
            return (await platform.session(transaction_id)).energy_wh == 800

        await eventually(has_followed)
        await platform.gateway.stop(transaction_id)
        assert end(await platform.session(transaction_id)) == (
            STATION,
            at(3600),
            5000,
            ["END_CORRECTED"],
        )


async def test_inferred_end_follows_the_values_until_the_next_session_begins(
    database_url: str, auth_address: str
) -> None:
    async with impatient(database_url, auth_address, FakeChargePoints()) as platform:
        first = (await platform.gateway.start()).transaction_id
        await platform.gateway.meter(energy(60, "1100"), transaction_id=first)
        second = (await platform.gateway.start(timestamp=at(3600), meter_start=1500)).transaction_id
        await platform.gateway.meter(energy(7200, "1900"))
        with psycopg.connect(database_url) as connection:  # as if it had come before that start
            name = (await platform.session(first)).name.removeprefix("sessions/")
            connection.execute("UPDATE session.meter_values SET session_id = %s", (name,))
        values = [energy(1800, "1300"), energy(3599, "1400")]
        await platform.gateway.meter(*values, transaction_id=first)

        async def has_followed() -> bool:
            return (await platform.session(first)).energy_wh == 400

        await eventually(has_followed)
        assert end(await platform.session(first))[:2] == (INFERRED, at(3599))
        assert (await platform.session(second)).state == pb.Session.STATE_ACTIVE


async def test_sessions_are_given_up_once_by_two_replicas(
    database_url: str, auth_address: str
) -> None:
    charge_points = FakeChargePoints()
    async with (
        impatient(database_url, auth_address, charge_points, session_silence_s=0.2) as platform,
        impatient(database_url, auth_address, charge_points, session_silence_s=0.2),
    ):
        starts = await asyncio.gather(*(platform.gateway.start(f"CP-{n}") for n in range(30)))
        for start in starts:
            session = await ended(platform, start.transaction_id)
            assert list(session.flags) == ["STOP_MISSING_SILENCE"]


async def test_session_that_is_heard_after_a_boot_goes_on_though_its_clock_was_set_back(
    database_url: str, auth_address: str
) -> None:
    charge_points = FakeChargePoints()
    async with impatient(database_url, auth_address, charge_points, boot_silence_s=0.2) as platform:
        running = (await platform.gateway.start()).transaction_id
        await platform.gateway.meter(energy(90_000, "1100"), transaction_id=running)
        charge_points.booted("CP-1", datetime.now(UTC))
        await platform.gateway.meter(energy(3600, "1200"), transaction_id=running)
        silent = (await platform.gateway.start("CP-2")).transaction_id
        charge_points.booted("CP-2", datetime.now(UTC))
        await ended(platform, silent)
        assert (await platform.session(running)).state == pb.Session.STATE_ACTIVE


async def test_ends_that_cannot_follow_do_not_hold_up_others(
    database_url: str, auth_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "_MOST", 1)
    charge_points = FakeChargePoints()
    async with impatient(
        database_url, auth_address, charge_points, session_silence_s=0.2
    ) as platform:
        started = []
        for charge_point_id, value in (("CP-1", "no number"), ("CP-2", "1800")):
            transaction_id = (await platform.gateway.start(charge_point_id)).transaction_id
            started.append(transaction_id)
            await ended(platform, transaction_id)
            await platform.gateway.meter(
                energy(900, value), charge_point_id=charge_point_id, transaction_id=transaction_id
            )

        async def has_followed() -> bool:
            return (await platform.session(started[1])).energy_wh == 800

        await eventually(has_followed)
        assert (await platform.session(started[0])).energy_wh == 0


async def test_charge_point_that_device_service_cannot_know_holds_up_no_others(
    database_url: str, auth_address: str
) -> None:
    charge_points = FakeChargePoints()
    async with impatient(
        database_url, auth_address, charge_points, session_silence_s=0.2
    ) as platform:
        for charge_point_id in ("-", "CP-1"):
            started = (await platform.gateway.start(charge_point_id)).transaction_id
            assert list((await ended(platform, started)).flags) == ["STOP_MISSING_SILENCE"]
