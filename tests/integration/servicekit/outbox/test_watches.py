"""What a watch gets, when, and how it ends."""

import asyncio

import pytest

from servicekit.database import Database
from servicekit.errors import QueueFull, ServiceUnavailable
from servicekit.outbox import watch as watch_module
from servicekit.outbox.cursor import Cursor
from servicekit.outbox.watch import Batch, Outbox
from tests.integration.servicekit.outbox.watching import Watch, execute, following, tell, watching
from tests.support.waiting import until


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
