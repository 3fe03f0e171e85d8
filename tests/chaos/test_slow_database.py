"""A database that takes five seconds for a commit: answers come late, but right, within bounds."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import psycopg
import pytest

from deploy.embedded import Platform
from tests.chaos.audit import assert_all_there_once
from tests.chaos.chargers import Charger, Habits, meter_value
from tests.support.charge_points import ocpp_now, raw_charge_point
from tests.support.rest import Rest

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(240)]

COMMIT_S = 5
CHARGERS = 30
FLOODERS = 4
VALUES_IN_A_FLOOD_FRAME = 20
MOST_GROWTH = 1.5
"""A process may need this much more memory; what the flood offers is several times of that."""
FACTS = ("session.sessions", "session.meter_values", "device.status_history")
CAREFUL = Habits(drops=0, repeats=0, pause_s=0)

_SLOW_COMMIT = """
CREATE OR REPLACE FUNCTION public.slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('chaos.has_slept', true) IS DISTINCT FROM 'yes' THEN
        PERFORM set_config('chaos.has_slept', 'yes', true);  -- until the transaction ends
        PERFORM pg_sleep({seconds});
    END IF;
    RETURN NULL;
END
$$
"""
_TRIGGER = """
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.slow_commit()
"""


@asynccontextmanager
async def slow_commits(database_url: str) -> AsyncIterator[None]:
    """Let every commit that brings facts take long.

    One lock at a time, and none at the end: the triggers stay, for commits are under way.
    """
    connect = psycopg.AsyncConnection.connect
    async with await connect(database_url, autocommit=True) as connection:
        await connection.execute(_SLOW_COMMIT.format(seconds=COMMIT_S))
        for table in FACTS:
            await connection.execute(_TRIGGER.format(table=table))
        try:
            yield
        finally:
            await connection.execute(_SLOW_COMMIT.format(seconds=0))


async def test_a_slow_database_delays_answers_and_fills_no_memory(
    harmed: Platform, operator: Rest
) -> None:
    chargers = [Charger(harmed.ocpp_url, f"SLOW-{n}", habits=CAREFUL) for n in range(CHARGERS)]
    await asyncio.gather(*(charger.boot() for charger in chargers))
    transactions = await asyncio.gather(*(charger.start() for charger in chargers))
    measuring, notifying = chargers[::2], chargers[1::2]
    before = memory(harmed)
    async with slow_commits(harmed.database_url), flood(harmed) as flooded:
        facts = await asyncio.gather(
            *(c.measure(t) for c, t in zip(measuring, transactions[::2], strict=True)),
            *(charger.notify(1, "Charging") for charger in notifying),
        )
        after = memory(harmed)
    await asyncio.gather(*(c.stop(t) for c, t in zip(chargers, transactions, strict=True)))
    await asyncio.gather(*(charger.hang_up() for charger in chargers))
    assert min(fact.answered_s for fact in facts) >= COMMIT_S
    told = f"{sum(flooded.values())} bytes offered, {before} before, {after} after"
    assert all(after[part] < MOST_GROWTH * before[part] for part in before), told
    ledgers = [charger.ledger for charger in chargers]
    await assert_all_there_once(operator, harmed.database_url, ledgers)


def memory(platform: Platform) -> dict[str, int]:
    """Return the resident bytes of the processes that calls pass through."""
    parts = ("gateway", "session_service", "device_service")
    return {part: psutil.Process(platform.pid(part)).memory_info().rss for part in parts}


@asynccontextmanager
async def flood(platform: Platform) -> AsyncIterator[Counter[str]]:
    """Let charge points send without waiting for answers; count the bytes that they got rid of."""
    sent: Counter[str] = Counter()
    tasks = [
        asyncio.create_task(_flood(platform.ocpp_url, f"FLOOD-{number}", sent))
        for number in range(FLOODERS)
    ]
    try:
        yield sent
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _flood(ocpp_url: str, charge_point_id: str, sent: Counter[str]) -> None:
    async with raw_charge_point(ocpp_url, charge_point_id) as charger:
        for number in itertools.count():
            now = ocpp_now()
            values = [meter_value(number + n, now) for n in range(VALUES_IN_A_FLOOD_FRAME)]
            payload = {"connectorId": 1, "meterValue": values}
            text = json.dumps([2, str(number), "MeterValues", payload])
            await charger.send(text)
            sent[charge_point_id] += len(text)
