"""Events that are forgotten, and cursors that nothing can follow."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from servicekit.database import Database
from servicekit.errors import ErrorKind
from servicekit.outbox import watch as watch_module
from servicekit.outbox.cursor import Cursor, EventCursorExpired
from servicekit.outbox.table import EventTable
from servicekit.outbox.watch import Outbox
from tests.integration.servicekit.outbox.watching import execute, following, tell, watching
from tests.support.waiting import until


async def count(database: Database) -> int:
    async with database.transaction() as connection:
        return await connection.scalar(text("SELECT count(*) FROM outbox")) or 0


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
