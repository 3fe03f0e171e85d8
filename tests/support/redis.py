"""A real Redis of a test's own, which may be stopped and started again empty."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio

from deploy.process import Process
from deploy.redis import redis_server, url
from tests.support.services import free_address
from tests.support.waiting import eventually


class Redis:
    """A server that keeps nothing: what it knew is gone when it stops."""

    def __init__(self, folder: Path) -> None:
        address = free_address()
        self.url = url(address)
        self._process: Process = redis_server(address, folder / "redis.log")

    async def start(self) -> None:
        """Start it, empty."""
        await self._process.start()

    async def heard_by(self, count: int, channel: str = "csms:device:all") -> None:
        """Return when so many listen: what is said before reaches nobody."""

        async def heard() -> bool:
            [(_, listeners)] = await client.pubsub_numsub(channel)
            return int(listeners) == count

        async with redis.asyncio.Redis.from_url(self.url, decode_responses=True) as client:
            await eventually(heard)

    async def stop(self) -> None:
        """Kill it."""
        await self._process.kill()


@asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[Redis]:
    """Run a Redis for the length of the block."""
    redis = Redis(folder)
    await redis.start()
    try:
        yield redis
    finally:
        await redis.stop()
