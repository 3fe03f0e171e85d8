import asyncio
import random

import pytest

from servicekit.database import Database
from servicekit.outbox import watch as watch_module
from servicekit.outbox.cursor import Cursor
from servicekit.outbox.table import append
from servicekit.outbox.watch import Outbox
from tests.integration.servicekit.outbox.watching import SCHEMA, an_event, watching

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
