"""Meter values by month: where they land, how months come and go beside running writers."""

import asyncio
import contextlib
import itertools
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

import session_service.config
import session_service.wiring
from csms.v1 import session_service_pb2 as pb
from servicekit.database import Database
from servicekit.errors import DatabaseUnavailable
from session_service.store.months import Months, Retention
from tests.fakes.clock import FakeClock
from tests.integration.session_service.conftest import T0, Platform, energy
from tests.support.services import NO_TRACING, free_address, serving
from tests.support.waiting import eventually

DEFAULT = "meter_values_default"
JANUARY, FEBRUARY, MARCH, APRIL = (datetime(2001, month, 1, tzinfo=UTC) for month in range(1, 5))
"""Long ago, so that the months of the running service are none of these."""
MOMENT = timedelta(microseconds=1)
KEEP = timedelta(days=30)
WAITING = (
    "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event = 'relation' AND query LIKE '{}%'"
)
"""Names the statement: the running service makes its own months, and looks after its sessions."""


class Partitions:
    """Looks at the partitions past everything else.

    It never blocks the event loop: what holds a lock that it waits for runs there.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    async def names(self) -> set[str]:
        """Return those of 2001."""
        query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE '%\\_2001\\_%'"
        return {str(name) for (name,) in await self.query(query)}

    async def numbers(self) -> dict[str, list[int]]:
        """Return the numbers in the meter values of each partition, in order."""
        found: dict[str, list[int]] = {}
        query = "SELECT tableoid::regclass::text, numbers[1]::int FROM meter_values ORDER BY 2"
        for name, number in await self.query(query):
            found.setdefault(str(name), []).append(int(str(number)))
        return found

    async def wait_for(self, condition: str) -> None:
        """Return when a query says that something is true."""

        async def holds() -> bool:
            return await self.query(condition) == [(True,)]

        await eventually(holds)

    async def query(self, query: str) -> list[tuple[object, ...]]:
        """Run a statement and return its rows."""
        async with await self.connect() as connection:
            cursor = await connection.execute(query.encode())
            return await cursor.fetchall() if cursor.description else []

    async def connect(self) -> "psycopg.AsyncConnection[tuple[object, ...]]":
        """Open a connection."""
        options = "-c search_path=session"
        return await psycopg.AsyncConnection.connect(self._url, options=options)

    async def make(self, *months: datetime) -> None:
        """Make partitions."""
        for month in months:
            await self.query(f"SELECT partition_month('{month:%Y-%m-%d}')")


@pytest.fixture
def partitions(database_url: str) -> Partitions:
    return Partitions(database_url)


def month(time: datetime) -> str:
    """Return the name of a month's partition."""
    return f"meter_values_{time:%Y_%m}"


async def meter(platform: Platform, times: dict[int, datetime], transaction_id: int = 0) -> None:
    """Report a value for each number, at its time."""
    values = [energy((time - T0).total_seconds(), str(number)) for number, time in times.items()]
    await platform.gateway.meter(*values, transaction_id=transaction_id)


async def test_this_month_and_the_next_are_made_once(
    database: Database, partitions: Partitions
) -> None:
    clock = FakeClock(JANUARY + timedelta(days=30))
    months = Months(database, clock)
    await asyncio.gather(months.make(), Months(database, clock).make(), months.make())
    assert await partitions.names() == {month(JANUARY), month(FEBRUARY)}
    clock.advance(timedelta(days=1))
    await months.make()
    assert await partitions.names() == {month(JANUARY), month(FEBRUARY), month(MARCH)}


async def test_a_value_is_kept_in_its_month_and_that_of_a_lying_clock_apart(
    platform: Platform, partitions: Partitions
) -> None:
    await partitions.make(JANUARY, FEBRUARY)
    times = {
        1: JANUARY - MOMENT,
        2: JANUARY,
        3: FEBRUARY - MOMENT,
        4: FEBRUARY,
        5: MARCH - MOMENT,
        6: MARCH,
        7: datetime(2070, 1, 1, tzinfo=UTC),
    }
    await meter(platform, times)
    assert await partitions.numbers() == {
        DEFAULT: [1, 6, 7],
        month(JANUARY): [2, 3],
        month(FEBRUARY): [4, 5],
    }


async def test_values_of_a_clock_that_ran_ahead_move_to_their_month(
    platform: Platform, partitions: Partitions
) -> None:
    await meter(platform, {1: FEBRUARY, 2: MARCH - MOMENT, 3: MARCH})
    await partitions.make(FEBRUARY, FEBRUARY)
    assert await partitions.numbers() == {month(FEBRUARY): [1, 2], DEFAULT: [3]}
    await meter(platform, {1: FEBRUARY, 4: FEBRUARY})
    assert await partitions.numbers() == {month(FEBRUARY): [1, 2, 4], DEFAULT: [3]}


async def test_a_month_is_dropped_when_all_of_it_is_too_old(
    platform: Platform, database: Database, partitions: Partitions
) -> None:
    await partitions.make(JANUARY, FEBRUARY, MARCH)
    await meter(platform, {1: JANUARY, 2: FEBRUARY, 3: MARCH, 4: APRIL, 5: JANUARY - MOMENT})
    clock = FakeClock(MARCH + KEEP - MOMENT)
    retention = Retention(database, clock, KEEP)
    await retention.enforce()
    kept = {month(FEBRUARY): [2], month(MARCH): [3], DEFAULT: [4, 5]}
    assert await partitions.numbers() == kept
    clock.advance(MOMENT)
    for _ in range(2):
        await retention.enforce()
    assert await partitions.numbers() == {month(MARCH): [3], DEFAULT: [4, 5]}
    assert await partitions.names() == {month(MARCH)}


async def test_a_value_outside_all_months_goes_by_its_time_of_receipt(
    platform: Platform, database: Database, partitions: Partitions
) -> None:
    await partitions.make(JANUARY)
    await meter(platform, dict.fromkeys(range(1, 8), datetime(2070, 1, 1, tzinfo=UTC)))
    await meter(platform, {8: APRIL})
    before = MARCH - KEEP
    for number, received in enumerate([before - MOMENT] * 5 + [before, MARCH], start=1):
        await partitions.query(
            f"UPDATE meter_values SET receive_time = '{received}' WHERE numbers[1] = {number}"
        )
    await partitions.query(f"UPDATE {DEFAULT} SET receive_time = '{MARCH}' WHERE numbers[1] = 8")
    await meter(platform, {9: JANUARY})
    await partitions.query(f"UPDATE {month(JANUARY)} SET receive_time = '{before - MOMENT}'")
    await Retention(database, FakeClock(MARCH), KEEP, batch=2).enforce()
    assert await partitions.numbers() == {DEFAULT: [6, 7, 8], month(JANUARY): [9]}


async def test_a_session_outlives_its_meter_values(
    platform: Platform, database: Database, partitions: Partitions
) -> None:
    await partitions.make(JANUARY, FEBRUARY)
    transaction_id = (await platform.gateway.start()).transaction_id
    await meter(platform, {1: JANUARY, 2: FEBRUARY}, transaction_id)
    await platform.gateway.stop(transaction_id)
    session = await platform.the_session()
    assert len(await platform.meter_values(session)) == 2
    await Retention(database, FakeClock(FEBRUARY + KEEP), KEEP).enforce()
    (left,) = await platform.meter_values(session)
    assert left.sampled_values[0].value == "2"
    assert await platform.the_session() == session
    shown = await platform.sessions.GetSession(pb.GetSessionRequest(name=session.name))
    assert (shown.energy_wh, shown.meter_summary.meter_value_count) == (session.energy_wh, 1)


async def test_a_month_that_is_read_is_dropped_in_a_later_turn_and_writers_go_on(
    platform: Platform,
    database: Database,
    partitions: Partitions,
) -> None:
    await partitions.make(JANUARY)
    await meter(platform, {1: JANUARY})
    clock = FakeClock(FEBRUARY + KEEP)
    retention, months = Retention(database, clock, KEEP), Months(database, clock)
    async with await partitions.connect() as reader:
        await reader.execute("SELECT 1 FROM meter_values")
        dropping = asyncio.create_task(retention.enforce())
        written: list[int] = []
        while not dropping.done():
            written.append(len(written))
            await meter(platform, {written[-1]: MARCH})
        with pytest.raises(DatabaseUnavailable):
            await dropping
        with pytest.raises(DatabaseUnavailable):
            await months.make()
        assert await partitions.numbers() == {month(JANUARY): [1], DEFAULT: written}
    await retention.enforce()
    await months.make()
    assert await partitions.numbers() == {month(MARCH): written}


async def test_a_value_that_comes_while_its_month_is_made_is_kept_there(
    platform: Platform,
    partitions: Partitions,
) -> None:
    async with await partitions.connect() as reader:
        await reader.execute("SELECT 1 FROM meter_values_default")
        making = asyncio.create_task(partitions.make(JANUARY))
        await partitions.wait_for(WAITING.format("SELECT partition_month("))
        writing = asyncio.create_task(meter(platform, {1: JANUARY, 2: MARCH}))
        await partitions.wait_for(WAITING.format("COPY"))
    await making
    await writing
    assert await partitions.numbers() == {month(JANUARY): [1], DEFAULT: [2]}


async def test_writers_do_not_feel_that_two_replicas_make_and_drop_months(
    platform: Platform, database: Database, partitions: Partitions
) -> None:
    clock, done = FakeClock(JANUARY), asyncio.Event()
    written: dict[int, datetime] = {}

    async def write(first: int) -> None:
        for number in itertools.count(first, 3):
            days = {number * 9 + month: timedelta(days=31 * month) for month in range(9)}
            times = {number: JANUARY + after for number, after in days.items()}
            await meter(platform, times)
            written.update(times)
            if done.is_set():
                return

    async def tend() -> None:
        await Months(database, clock).make()
        await Retention(database, clock, KEEP).enforce()

    async def try_to_tend() -> None:
        with contextlib.suppress(DatabaseUnavailable):  # did not get its lock in time
            await tend()

    async with asyncio.TaskGroup() as tasks:
        for first in range(3):
            tasks.create_task(write(first))
        for _ in range(8):
            await asyncio.gather(try_to_tend(), try_to_tend())
            clock.advance(timedelta(days=31))
        done.set()
    await tend()
    oldest = min(await partitions.names())
    kept = {number for numbers in (await partitions.numbers()).values() for number in numbers}
    young = {number for number, time in written.items() if month(time) >= oldest}
    assert young
    assert young <= kept <= set(written)


async def test_the_service_makes_months_and_forgets_what_its_setting_says(
    database_url: str, partitions: Partitions
) -> None:
    await partitions.make(JANUARY)
    config = session_service.config.Config(
        listen=free_address(),
        database_url=database_url,
        auth_address=free_address(),
        device_address=free_address(),
        meter_value_retention_days=30,
    )
    service = session_service.wiring.build(config, NO_TRACING)
    async with serving(service, config.listen):
        await partitions.wait_for("SELECT to_regclass('meter_values_2001_01') IS NULL")
        this_month = f"SELECT to_regclass('{month(datetime.now(UTC))}') IS NOT NULL"
        await partitions.wait_for(this_month)
