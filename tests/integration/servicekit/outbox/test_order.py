"""Nothing lost, nothing twice, one order for all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from servicekit.outbox.table import append
from servicekit.outbox.watch import Outbox
from tests.integration.servicekit.outbox.watching import an_event, following, tell, watching
from tests.support.waiting import until


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
