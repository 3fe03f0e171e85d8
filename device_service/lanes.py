"""Work in lanes: what has one key is done in order, what has different keys side by side."""

import asyncio
from collections.abc import Awaitable, Callable


class Lanes:
    """Runs pieces of work, of which few wait at a time.

    Args:
        most: Pieces of work that may have begun or wait; whoever brings one more waits.
    """

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)
        self._last: dict[str, asyncio.Task[None]] = {}

    async def put(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begin a piece of work as soon as those before it with the same key are done.

        Returns when there is room for it. Work must not raise.
        """
        await self._room.acquire()
        self._last[key] = asyncio.create_task(self._run(key, self._last.get(key), work))

    async def done(self) -> None:
        """Wait until all work is done."""
        while self._last:
            await asyncio.wait(self._last.values())

    async def _run(
        self,
        key: str,
        before: asyncio.Task[None] | None,
        work: Callable[[], Awaitable[None]],
    ) -> None:
        try:
            if before is not None:
                await asyncio.wait({before})
            await work()
        finally:
            self._room.release()
            if self._last.get(key) is asyncio.current_task():
                del self._last[key]
