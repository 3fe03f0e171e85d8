"""Events that are told, and watchers that remember what they got."""

import asyncio
from typing import Any

from sqlalchemy import text

from servicekit.database import Database
from servicekit.outbox.cursor import Cursor
from servicekit.outbox.table import Event, append
from servicekit.outbox.watch import Batch, Outbox

SCHEMA = "box"
PATIENCE_S = 60


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


def following(outbox: Outbox) -> bool:
    return outbox._follower is not None
