"""The outbox on a real PostgreSQL: nothing lost, nothing twice, one order for all."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from servicekit.errors import ErrorKind, QueueFull, ServiceUnavailable
from servicekit.outbox import watch as watch_module
from servicekit.outbox.cursor import Cursor, EventCursorExpired
from servicekit.outbox.table import _STATE, CREATE, DROP, Event, EventTable, append
from servicekit.outbox.watch import Batch, Outbox
from tests.support.waiting import until

SCHEMA = "box"
PATIENCE_S = 60


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    with psycopg.connect(database_url) as connection:
        for statements in (f"CREATE SCHEMA {SCHEMA}; SET search_path TO {SCHEMA}", CREATE, DROP):
            connection.execute(statements.encode())
        connection.execute(CREATE.encode())
    database = Database(database_url, SCHEMA, pool_size=20)
    yield database
    await database.close()


@pytest.fixture
async def outbox(database: Database) -> AsyncIterator[Outbox]:
    outbox = Outbox(database)
    yield outbox
    await outbox.close()


def an_event(payload: str, key: str = "k") -> Event:
    return Event("topic", key, payload.encode())


async def tell(database: Database, *payloads: str, key: str = "k") -> None:
    async with database.transaction() as connection:
        await append(connection, [an_event(payload, key) for payload in payloads])


async def execute(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement))


class Watch:
    """One watcher, and what it got; it can be cut and resumed like a client."""

    def __init__(
        self, outbox: Outbox, cursor: Cursor | None = None, key: str | None = None
    ) -> None:
        self.payloads: list[str] = []
        self.cursor = cursor
        self._batches: Any = outbox.watch(cursor, key)

    async def begun(self) -> "Watch":
        await self.batch()
        return self

    async def batch(self) -> Batch:
        async with asyncio.timeout(PATIENCE_S):
            batch: Batch = await anext(self._batches)
        self.cursor = batch.cursor
        self.payloads += [event.payload.decode() for event in batch.events]
        return batch

    @property
    def is_waiting(self) -> bool:
        return bool(self._batches.ag_running)

    async def until_count(self, count: int) -> list[str]:
        while len(self.payloads) < count:
            await self.batch()
        return self.payloads

    async def cut(self) -> None:
        await self._batches.aclose()


async def watching(outbox: Outbox, cursor: Cursor | None = None, key: str | None = None) -> Watch:
    return await Watch(outbox, cursor, key).begun()


async def test_events_come_in_their_order_with_what_they_hold(
    database: Database, outbox: Outbox
) -> None:
    watch = await watching(outbox)
    before = datetime.now(UTC) - timedelta(minutes=1)
    await tell(database, "a", "b", "c")
    (event, *_), _ = (await watch.batch()).events, await watch.until_count(3)
    assert watch.payloads == ["a", "b", "c"]
    assert (event.topic, event.key, event.payload) == ("topic", "k", b"a")
    assert before < event.create_time < datetime.now(UTC) + timedelta(minutes=1)


async def test_watch_without_a_cursor_begins_now(database: Database, outbox: Outbox) -> None:
    await tell(database, "before")
    watch = await watching(outbox)
    assert watch.payloads == []
    await tell(database, "after")
    assert await watch.until_count(1) == ["after"]


async def test_cursor_goes_on_behind_its_event(database: Database, outbox: Outbox) -> None:
    first = await watching(outbox)
    await tell(database, "a")
    await first.until_count(1)
    await first.cut()
    await tell(database, "b", "c")
    resumed = await watching(outbox, first.cursor)
    assert await resumed.until_count(2) == ["b", "c"]


async def test_rolled_back_event_never_was(database: Database, outbox: Outbox) -> None:
    watch = await watching(outbox)

    async def fail() -> None:
        async with database.transaction() as connection:
            await append(connection, [an_event("never")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await tell(database, "a")
    assert await watch.until_count(1) == ["a"]


@asynccontextmanager
async def open_transaction(database: Database) -> AsyncIterator[AsyncConnection]:
    """Hold a transaction that has its number already."""
    async with database.transaction() as connection:
        await connection.execute(text("SELECT pg_current_xact_id()"))
        yield connection


async def test_event_that_is_committed_late_is_not_skipped(
    database: Database, outbox: Outbox
) -> None:
    watch = await watching(outbox)
    async with open_transaction(database) as connection:
        await append(connection, [an_event("appended first")])
        await tell(database, "committed first")
        assert await watch.until_count(1) == ["committed first"]
    assert await watch.until_count(2) == ["committed first", "appended first"]


async def test_changes_of_one_thing_come_in_their_order(database: Database, outbox: Outbox) -> None:
    """The second change may be made by the transaction that began first."""
    first = await watching(outbox)
    await first.cut()
    await until(lambda: not following(outbox))
    async with open_transaction(database) as older:
        await tell(database, "first change")
        await append(older, [an_event("second change")])
    watch = await watching(outbox, first.cursor)
    assert await watch.until_count(2) == ["first change", "second change"]


async def test_foreign_transaction_holds_nothing_up(database: Database, outbox: Outbox) -> None:
    watch = await watching(outbox)
    async with open_transaction(database):
        await tell(database, "a")
        assert await watch.until_count(1) == ["a"]


async def test_filtered_watch_tells_how_far_it_has_come(
    database: Database, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_HEARTBEAT_S", 0.05)
    watch = await watching(outbox, key="mine")
    begin = watch.cursor
    await tell(database, "other", key="theirs")
    while watch.cursor == begin:
        assert not (await watch.batch()).events
    await tell(database, "x", key="mine")
    assert await watch.until_count(1) == ["x"]


async def test_quiet_watch_has_a_heartbeat(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_HEARTBEAT_S", 0.01)
    watch = await watching(outbox)
    begin = watch.cursor
    assert await watch.batch() == Batch(begin or Cursor("", 0), [])


async def test_slow_watcher_gets_what_memory_does_not_hold(database: Database) -> None:
    outbox = Outbox(database, max_recent=10, max_batch=7)
    slow, quick = await watching(outbox), await watching(outbox)
    wanted = [str(number) for number in range(100)]
    for payload in wanted:
        await tell(database, payload)
    assert await quick.until_count(100) == wanted
    assert await slow.until_count(100) == wanted
    await outbox.close()


async def test_commit_of_this_process_wakes_at_once(
    database: Database, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_POLL_INTERVAL_S", 3600)
    watch = await watching(outbox)
    await tell(database, "a")
    outbox.committed()
    assert await watch.until_count(1) == ["a"]


async def test_nothing_is_read_when_nobody_watches(database: Database, outbox: Outbox) -> None:
    watch = await watching(outbox)
    await watch.cut()
    await until(lambda: not following(outbox))
    again = await watching(outbox, watch.cursor)
    await tell(database, "a")
    assert await again.until_count(1) == ["a"]


def following(outbox: Outbox) -> bool:
    return outbox._follower is not None


async def test_watchers_are_limited(database: Database) -> None:
    outbox = Outbox(database, max_watchers=2)
    first, _ = await watching(outbox), await watching(outbox)
    with pytest.raises(QueueFull):
        await watching(outbox)
    await first.cut()
    await watching(outbox)
    await outbox.close()


async def test_stop_ends_watches_and_lets_none_begin(database: Database, outbox: Outbox) -> None:
    watch = await watching(outbox)
    ending = asyncio.create_task(watch.batch())
    await until(lambda: watch.is_waiting)
    await outbox.close()
    for attempt in (ending, Watch(outbox, watch.cursor).batch()):
        with pytest.raises(ServiceUnavailable):
            await attempt


async def test_lost_connections_lose_no_event(database: Database, outbox: Outbox) -> None:
    watch = await watching(outbox)
    for number in range(3):
        await execute(
            database,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'voltmesh-box'"
            " AND pid <> pg_backend_pid()",
        )
        await tell(database, str(number))
        assert await watch.until_count(number + 1) == [str(n) for n in range(number + 1)]


async def test_old_events_are_forgotten_and_never_skipped(
    database: Database, outbox: Outbox
) -> None:
    begin = (await watching(outbox)).cursor
    await tell(database, "old")
    behind = await watching(outbox, begin)
    await behind.until_count(1)
    await execute(database, "UPDATE outbox SET create_time = create_time - interval '8 days'")
    await tell(database, "young")
    await EventTable(database).forget(datetime.now(UTC) - timedelta(days=7))
    with pytest.raises(EventCursorExpired) as raised:
        await watching(outbox, begin)
    assert raised.value.kind is ErrorKind.OUT_OF_RANGE
    assert await (await watching(outbox, behind.cursor)).until_count(1) == ["young"]


async def test_event_that_nobody_watched_is_forgotten_too(
    database: Database, outbox: Outbox
) -> None:
    first = await watching(outbox)
    await first.cut()
    await until(lambda: not following(outbox))
    await tell(database, "old")
    await execute(database, "UPDATE outbox SET create_time = create_time - interval '8 days'")
    await EventTable(database).forget(datetime.now(UTC) - timedelta(days=7))
    assert await count(database) == 0
    with pytest.raises(EventCursorExpired):
        await watching(outbox, first.cursor)


async def test_old_event_behind_a_young_one_stays(database: Database, outbox: Outbox) -> None:
    begin = (await watching(outbox)).cursor
    await tell(database, "young", "old")
    await execute(
        database,
        "UPDATE outbox SET create_time = create_time - interval '8 days' WHERE payload = 'old'",
    )
    await EventTable(database).forget(datetime.now(UTC) - timedelta(days=7))
    assert await (await watching(outbox, begin)).until_count(2) == ["young", "old"]


async def count(database: Database) -> int:
    async with database.transaction() as connection:
        return await connection.scalar(text("SELECT count(*) FROM outbox")) or 0


async def test_watch_that_is_overtaken_by_deletion_ends(database: Database) -> None:
    outbox = Outbox(database, max_recent=1)
    slow = await watching(outbox)
    quick = await watching(outbox)
    await tell(database, "a", "b")
    await quick.until_count(2)
    await EventTable(database).forget(datetime.now(UTC) + timedelta(minutes=1))
    with pytest.raises(EventCursorExpired):
        await slow.batch()
    await tell(database, "c")
    assert await quick.until_count(3) == ["a", "b", "c"]
    await outbox.close()


async def test_replica_that_was_overtaken_by_deletion_starts_anew(
    database: Database, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_POLL_INTERVAL_S", 3600)
    watch = await watching(outbox)
    await tell(database, "a", "b")
    outbox.committed()
    await watch.until_count(2)
    await tell(database, "missed")
    await EventTable(database).forget(datetime.now(UTC) + timedelta(minutes=1))
    await tell(database, "c")
    outbox.committed()
    with pytest.raises(EventCursorExpired):
        await watch.batch()


@pytest.mark.parametrize(("origin", "ahead"), [("another", 0), (None, 1)])
async def test_cursor_of_another_history_is_refused(
    outbox: Outbox, origin: str | None, ahead: int
) -> None:
    cursor = (await watching(outbox)).cursor
    assert cursor is not None
    with pytest.raises(EventCursorExpired):
        await watching(outbox, Cursor(origin or cursor.origin, cursor.position + ahead))


async def test_watch_ends_when_the_database_becomes_another(
    database: Database, outbox: Outbox
) -> None:
    watch = await watching(outbox)
    await execute(database, "UPDATE outbox_state SET origin = gen_random_uuid()")
    with pytest.raises(EventCursorExpired):
        await watch.batch()
    again = await watching(outbox)
    await tell(database, "a")
    assert await again.until_count(1) == ["a"]


async def test_least_privileged_role_can_read_the_state(database: Database) -> None:
    async with database.transaction() as connection:
        for statement in (
            "CREATE ROLE outbox_reader",
            f"GRANT ALL ON SCHEMA {SCHEMA} TO outbox_reader",
            f"GRANT ALL ON ALL TABLES IN SCHEMA {SCHEMA} TO outbox_reader",
            "SET LOCAL ROLE outbox_reader",
        ):
            await connection.execute(text(statement))
        await append(connection, [an_event("a")])
        assert await connection.scalar(text("SELECT place_events(10)")) == 1
        await connection.execute(_STATE)
        await connection.execute(text("RESET ROLE"))
        await connection.execute(text("DROP OWNED BY outbox_reader"))
        await connection.execute(text("DROP ROLE outbox_reader"))


END = "the end"


class Replicas:
    """Two outboxes of one schema, with writers and watchers at both."""

    def __init__(self, databases: list[Database], seed: int) -> None:
        self.dice = random.Random(seed)
        self.databases = databases
        self.outboxes = [Outbox(database, max_recent=20, max_batch=8) for database in databases]
        self.written: list[str] = []

    async def write(self, writer: int) -> None:
        """Commit transactions, each some time after its events were appended."""
        for number in range(10):
            payloads = [f"{writer}-{number}-{part}" for part in range(self.dice.randint(1, 3))]
            await self.commit(writer % 2, payloads)

    async def commit(self, replica: int, payloads: list[str]) -> None:
        async with self.databases[replica].transaction() as connection:
            for payload in payloads:
                await append(connection, [an_event(payload)])
                await asyncio.sleep(self.dice.uniform(0, 0.1))
        self.written += payloads
        self.outboxes[replica].committed()

    async def watch(self, begin: Cursor | None) -> list[str]:
        """Return what a watcher got that is cut now and then and goes on at either replica."""
        got: list[str] = []
        while END not in got:
            watch = await watching(self.dice.choice(self.outboxes), begin)
            for _ in range(self.dice.randint(1, 20)):
                if END not in watch.payloads:
                    await watch.batch()
            got, begin = got + watch.payloads, watch.cursor
            await watch.cut()
        return got


async def test_every_watcher_gets_every_event_once_in_one_order(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_HEARTBEAT_S", 0.1)
    other = Database(database_url, SCHEMA, pool_size=20)
    replicas = Replicas([database, other], seed=1)
    begin = (await watching(replicas.outboxes[0])).cursor
    watchers = [asyncio.create_task(replicas.watch(begin)) for _ in range(4)]
    await asyncio.gather(*(replicas.write(writer) for writer in range(8)))
    await replicas.commit(0, [END])
    first, *others = await asyncio.gather(*watchers)
    assert sorted(first) == sorted(replicas.written)
    assert all(got == first for got in others)
    for outbox in replicas.outboxes:
        await outbox.close()
    await other.close()
