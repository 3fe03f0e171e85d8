"""Meter values that arrive before it is known to which session they belong."""

import psycopg
import pytest

from csms.v1 import session_service_pb2 as pb
from session_service.store import claims
from tests.integration.session_service.conftest import Platform
from tests.integration.session_service.test_late_starts import end, hours_ago, meter, start

BY_TIME = pb.MeterValue.ATTRIBUTION_CONNECTOR_AND_TIME
BY_ID = pb.MeterValue.ATTRIBUTION_TRANSACTION_ID


async def shown(platform: Platform, transaction_id: int) -> list[tuple[str, int]]:
    """Return the registers of a session, and how each was attributed."""
    values = await platform.meter_values(await platform.session(transaction_id))
    return [(value.sampled_values[0].value, value.attribution) for value in values]


async def test_values_belong_to_the_session_whose_start_comes_after_them(
    platform: Platform,
) -> None:
    for hours in (10.5, 10, 9, 8):
        await meter(platform, hours)
    await meter(platform, 7, transaction_id=4711)
    started = await start(platform, 10)
    expected = [(str(register), BY_TIME) for register in (90_000, 91_000, 92_000, 93_000)]
    assert await shown(platform, started) == expected
    session = await platform.session(started)
    assert (session.state, session.energy_wh) == (pb.Session.STATE_ACTIVE, 3000)
    summary = session.meter_summary
    assert (summary.meter_value_count, summary.metered_energy_wh) == (4, 3000)
    assert (summary.first_sample_time, summary.last_sample_time) == (hours_ago(10), hours_ago(7))
    assert await start(platform, 10) == started
    assert await shown(platform, started) == expected


async def test_values_of_another_connector_stay_where_they_are(platform: Platform) -> None:
    await meter(platform, 9)
    assert await shown(platform, await start(platform, 10, connector_id=2)) == []
    assert await shown(platform, await start(platform, 10, "CP-2")) == []
    assert await shown(platform, await start(platform, 10)) == [("91000", BY_TIME)]


async def test_late_start_takes_the_values_up_to_the_next_one_and_ends_by_them(
    platform: Platform,
) -> None:
    for hours in (21, 19, 16, 10, 8):
        await meter(platform, hours)
    newer = await start(platform, 10)
    await platform.gateway.stop(newer, timestamp=hours_ago(9), meter_stop=91_000)
    late = await start(platform, 20)
    assert await shown(platform, late) == [("81000", BY_TIME), ("84000", BY_TIME)]
    assert end(await platform.session(late))[:3] == ("INFERRED", hours_ago(16), 84_000)
    assert await shown(platform, newer) == [("90000", BY_TIME), ("92000", BY_TIME)]


async def test_session_whose_stop_came_first_takes_the_values_up_to_it(platform: Platform) -> None:
    for hours in (19, 15, 14):
        await meter(platform, hours)
    await platform.gateway.stop(4711, timestamp=hours_ago(15), meter_stop=85_000)
    started = await start(platform, 20)
    assert await shown(platform, started) == [("81000", BY_TIME), ("85000", BY_TIME)]


async def test_start_takes_what_a_session_that_had_ended_was_given_for_its_connector(
    platform: Platform,
) -> None:
    stopped, superseded = await start(platform, 40), await start(platform, 40, "CP-2")
    for charge_point_id, first in (("CP-1", stopped), ("CP-2", superseded)):
        await meter(platform, 35, charge_point_id=charge_point_id)
        await meter(platform, 29, charge_point_id=charge_point_id)
        await meter(platform, 28, first, charge_point_id=charge_point_id)
    await platform.gateway.stop(stopped, timestamp=hours_ago(31), meter_stop=69_000)
    for charge_point_id, first in (("CP-1", stopped), ("CP-2", superseded)):
        following = await start(platform, 30, charge_point_id)
        assert await shown(platform, following) == [("71000", BY_TIME)]
        assert await shown(platform, first) == [("65000", BY_TIME), ("72000", BY_ID)]
    assert end(await platform.session(superseded))[:3] == ("INFERRED", hours_ago(35), 65_000)


async def test_true_stop_takes_what_came_when_the_end_was_inferred_too_early(
    platform: Platform,
) -> None:
    newer = await start(platform, 10)
    await meter(platform, 19)
    late = await start(platform, 20)
    assert end(await platform.session(late))[:2] == ("INFERRED", hours_ago(19))
    await meter(platform, 18, late)
    await meter(platform, 17)
    await meter(platform, 15, late)
    by_id = [("82000", BY_ID), ("85000", BY_ID)]
    assert await shown(platform, late) == [("81000", BY_TIME), *by_id]
    await platform.gateway.stop(late, timestamp=hours_ago(16), meter_stop=81_500)
    by_time = [("81000", BY_TIME), ("83000", BY_TIME)]
    assert await shown(platform, late) == sorted([*by_time, *by_id])
    flags = ["END_CORRECTED", "METER_STOP_BELOW_READING"]
    assert end(await platform.session(late)) == ("STATION", hours_ago(16), 81_500, flags)
    assert await shown(platform, newer) == []


async def test_value_that_another_session_covers_stays_with_it(platform: Platform) -> None:
    first = await start(platform, 40)
    await meter(platform, 30)
    await platform.gateway.stop(first, timestamp=hours_ago(20), meter_stop=80_000)
    second = await start(platform, 35)
    assert await shown(platform, second) == []
    assert await shown(platform, first) == [("70000", BY_TIME)]


async def test_stop_in_the_future_keeps_no_values_from_a_start_that_comes_late(
    platform: Platform,
) -> None:
    first = await start(platform, 40)
    await platform.gateway.stop(first, timestamp=hours_ago(-24 * 365), meter_stop=61_000)
    await meter(platform, 5)
    assert await shown(platform, first) == [("95000", BY_TIME)]
    second = await start(platform, 10)
    assert (await shown(platform, first), await shown(platform, second)) == (
        [],
        [("95000", BY_TIME)],
    )


async def test_start_of_a_clock_that_was_not_set_takes_nothing(platform: Platform) -> None:
    await meter(platform, 9)
    assert await shown(platform, await start(platform, 24 * 40, meter_start=1)) == []


async def test_no_more_is_taken_than_a_start_has_time_for(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_MOST", 2)
    for hours in (7, 8, 9, 11):
        await meter(platform, hours)
    taken = await shown(platform, await start(platform, 10))
    assert taken == [("91000", BY_TIME), ("92000", BY_TIME)]


async def test_values_that_came_before_are_looked_up_by_an_index_in_their_months_only(
    platform: Platform, database_url: str
) -> None:
    with psycopg.connect(database_url, options="-c search_path=session") as connection:
        for back in range(1, 12):
            connection.execute(
                "SELECT partition_month((date_trunc('month', now())"
                " - %s * interval '1 month')::date)",
                (back,),
            )
        connection.execute("SET enable_seqscan = off")
        plan = explained(connection, begin=hours_ago(0).ToDatetime(), before=None)
    assert "Seq Scan" not in plan
    assert plan.count("Update on meter_values_") <= 3  # this month, the next, the default


def explained(connection: psycopg.Connection[tuple[object, ...]], **bounds: object) -> str:
    """Return the plan of the statement as PostgreSQL makes it for these values."""
    names = {
        "session_id": "00000000-0000-0000-0000-000000000001",
        "transaction_id": 1,
        "charge_point_id": "CP-1",
        "connector_id": 1,
        "most": 10,
        **bounds,
    }
    text = str(claims._CLAIM)
    for name in names:
        text = text.replace(f":{name}", f"%({name})s")
    lines = psycopg.ClientCursor(connection).execute(f"EXPLAIN {text}", names).fetchall()
    return "\n".join(str(line[0]) for line in lines)
