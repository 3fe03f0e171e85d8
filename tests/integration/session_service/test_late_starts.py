"""Starts that come late: a newer session has begun on their connector before they arrive."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from csms.ocpp.v16 import types_pb2
from csms.v1 import session_service_pb2 as pb
from servicekit.timestamps import to_timestamp
from tests.integration.session_service.conftest import Platform, session_gateway, start_request

NOW = datetime.now(UTC).replace(microsecond=0)
MISSING = ["STOP_MISSING_NEXT_START"]


def hours_ago(hours: float) -> Any:
    return to_timestamp(NOW - timedelta(hours=hours))


def end(session: pb.Session) -> tuple[object, ...]:
    source = pb.Session.Source.Name(session.stop_source).removeprefix("SOURCE_")
    return source, session.stop_time, session.meter_stop_wh, list(session.flags)


async def start(
    platform: Platform, hours: float, charge_point_id: str = "CP-1", **said: Any
) -> int:
    """Start that many hours ago; the register rises by 1000 Wh in each hour."""
    values = {"timestamp": hours_ago(hours), "meter_start": int((100 - hours) * 1000), **said}
    return (await platform.gateway.start(charge_point_id, **values)).transaction_id


async def meter(
    platform: Platform,
    hours: float,
    transaction_id: int | None = None,
    charge_point_id: str = "CP-1",
) -> None:
    """Report the register of some hours ago."""
    sample = types_pb2.SampledValue(value=str(int((100 - hours) * 1000)))
    value = types_pb2.MeterValue(timestamp=hours_ago(hours), sampled_value=[sample])
    await platform.gateway.meter(
        value, charge_point_id=charge_point_id, transaction_id=transaction_id
    )


async def is_active(platform: Platform, transaction_id: int) -> bool:
    return (await platform.session(transaction_id)).state == pb.Session.STATE_ACTIVE


async def test_late_start_has_ended_when_the_newer_one_began_until_its_stop_tells_better(
    platform: Platform,
) -> None:
    newer = await start(platform, 12)
    late = await start(platform, 20)
    session = await platform.session(late)
    assert end(session) == ("INFERRED", hours_ago(12), 88_000, MISSING)
    assert await start(platform, 20) == late
    assert await platform.session(late) == session
    for _ in range(2):
        await platform.gateway.stop(late, timestamp=hours_ago(15), meter_stop=84_000)
    told = ("STATION", hours_ago(15), 84_000, ["END_CORRECTED"])
    assert end(await platform.session(late)) == told
    assert await start(platform, 20) == late
    assert end(await platform.session(late)) == told
    assert await is_active(platform, newer)
    assert await platform.quarantined() == []


async def test_starts_in_any_order_make_the_same_sessions(platform: Platform) -> None:
    begins = (40, 30, 20, 10)
    for number, order in enumerate(itertools.permutations(begins)):
        charge_point_id = f"CP-{number}"
        ids = {hours: await start(platform, hours, charge_point_id) for hours in order}
        for begun, following in itertools.pairwise(begins):
            expected = ("INFERRED", hours_ago(following), (100 - following) * 1000, MISSING)
            assert end(await platform.session(ids[begun])) == expected, order
        assert await is_active(platform, ids[10]), order


async def test_start_between_others_ends_what_was_read_after_it(platform: Platform) -> None:
    first = await start(platform, 40)
    for hours in (39, 30.5, 29):
        await meter(platform, hours, first)
    await start(platform, 10)
    assert end(await platform.session(first)) == ("INFERRED", hours_ago(29), 71_000, MISSING)
    await start(platform, 30)
    assert end(await platform.session(first)) == ("INFERRED", hours_ago(30.5), 69_500, MISSING)


async def test_starts_on_two_replicas_at_once_leave_one_running(
    platform: Platform, database_url: str, auth_address: str
) -> None:
    async with session_gateway(database_url, auth_address) as other:
        ids = await asyncio.gather(
            *(
                start(replica, hours, f"CP-{number}")
                for number in range(20)
                for replica, hours in ((platform, 20), (other, 10))
            )
        )
    active = await platform.all_sessions(state=pb.Session.STATE_ACTIVE, page_size=100)
    assert {session.ocpp_transaction_id for session in active} == set(ids[1::2])


async def test_same_late_start_on_two_replicas_makes_one_session(
    platform: Platform, database_url: str, auth_address: str
) -> None:
    await start(platform, 10)
    async with session_gateway(database_url, auth_address) as other:
        ids = await asyncio.gather(*(start(it, 20) for it in (platform, other) * 10))
    assert len(set(ids)) == 1
    assert len(await platform.all_sessions()) == 2


async def test_late_start_on_another_connector_runs(platform: Platform) -> None:
    await start(platform, 10)
    assert await is_active(platform, await start(platform, 20, connector_id=2))
    assert await is_active(platform, await start(platform, 20, "CP-2"))


@pytest.mark.parametrize("repair", ["time_missing", "time_replaced"])
async def test_start_without_a_time_is_not_late(platform: Platform, repair: str) -> None:
    await start(platform, -1)  # by a clock that is ahead
    call = platform.gateway.call("CP-1", start_request(), [repair], "[2,...]")
    call.request.start_transaction.timestamp.seconds = call.receive_time.seconds
    answer = (await platform.gateway.send(call)).response.start_transaction
    assert await is_active(platform, answer.transaction_id)


async def test_start_that_happens_now_is_not_late_though_a_clock_was_ahead(
    platform: Platform,
) -> None:
    await start(platform, -24)
    now = to_timestamp(datetime.now(UTC))
    assert await is_active(platform, await start(platform, 0, timestamp=now))


async def test_clock_that_was_set_back_in_a_session_makes_the_next_one_not_late(
    platform: Platform,
) -> None:
    before = await start(platform, 1)
    await platform.gateway.stop(before, timestamp=hours_ago(24.5), meter_stop=99_500)
    assert await is_active(platform, await start(platform, 24))


async def test_start_of_a_clock_that_was_not_set_is_not_late(platform: Platform) -> None:
    await start(platform, 1)
    assert await is_active(platform, await start(platform, 24 * 365, meter_start=1))


async def test_late_start_is_within_the_limit_of_its_tag(platform: Platform) -> None:
    await platform.tag(max_active_transactions=1)
    await start(platform, 10)
    late = await platform.gateway.start(timestamp=hours_ago(20))
    assert late.id_tag_info.status == types_pb2.AUTHORIZATION_STATUS_ACCEPTED
    elsewhere = await platform.gateway.start(timestamp=hours_ago(9), connector_id=2)
    assert elsewhere.id_tag_info.status == types_pb2.AUTHORIZATION_STATUS_CONCURRENT_TX


async def test_stop_without_an_id_ends_the_late_start_before_it(platform: Platform) -> None:
    newer = await start(platform, 10)
    ids = {hours: await start(platform, hours) for hours in (40, 30, 20)}
    await platform.gateway.stop(0, timestamp=hours_ago(25), meter_stop=75_000)
    flags = ["STOP_MATCHED", "END_CORRECTED"]
    assert end(await platform.session(ids[30])) == ("STATION", hours_ago(25), 75_000, flags)
    await platform.gateway.stop(0, timestamp=hours_ago(5), meter_stop=95_000)
    assert end(await platform.session(newer))[:2] == ("STATION", hours_ago(5))
    for hours in (40, 20):
        assert end(await platform.session(ids[hours]))[0] == "INFERRED"


async def test_late_start_takes_the_stop_that_came_before_it(platform: Platform) -> None:
    await platform.gateway.stop(4711, timestamp=hours_ago(15), meter_stop=84_000)
    await start(platform, 12)
    late = await start(platform, 20)
    expected = ("STATION", hours_ago(15), 84_000, ["STOP_MATCHED"])
    assert end(await platform.session(late)) == expected


async def test_stop_without_an_id_is_not_that_of_a_session_that_was_given_up(
    platform: Platform, database_url: str
) -> None:
    late = await start(platform, 20)
    await start(platform, 10)
    with psycopg.connect(database_url) as connection:
        given_up = "UPDATE session.sessions SET flags = %s WHERE transaction_id = %s"
        connection.execute(given_up, (["STOP_MISSING_SILENCE"], late))
    await platform.gateway.stop(0, timestamp=hours_ago(15), meter_stop=84_000)
    assert end(await platform.session(late))[3] == ["STOP_MISSING_SILENCE"]
    assert [entry.reason for entry in await platform.quarantined()] == ["UNKNOWN_TRANSACTION"]
