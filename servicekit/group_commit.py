"""Group commit: what queued while the last commit ran becomes the next commit.

There is no timer: a lone item is committed at once, and under load the batches grow by themselves
(ADR 0004 has the measurements).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from servicekit.errors import DatabaseUnavailable, QueueFull

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Commits items together and gives each its own result.

    When a batch fails for another reason than an outage, its halves are committed on their own, and
    so on, so that an item that cannot be stored fails alone and costs the others few commits.

    Args:
        commit: Stores the items in one transaction and returns a result for each, in order.
        max_batch: Most items in one transaction.
        max_queued: Most items that may wait; one more is refused.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int = 500,
        max_queued: int = 20_000,
    ) -> None:
        self._commit = commit
        self._max_batch, self._max_queued = max_batch, max_queued
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the item's result once it is committed.

        Raises:
            QueueFull: Too many items wait already.
            DatabaseUnavailable: The database is away; the item was not stored.
        """
        if len(self._queue) >= self._max_queued:
            raise QueueFull("Too many messages wait to be stored; try again.")
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, done))
        if self._worker is None:
            self._worker = asyncio.create_task(self._drain())
        return await done

    async def close(self) -> None:
        """Wait until all that was submitted has its result."""
        while self._worker is not None:
            await asyncio.wait({self._worker})

    async def _drain(self) -> None:
        try:
            while self._queue:
                size = min(len(self._queue), self._max_batch)
                await self._commit_batch([self._queue.popleft() for _ in range(size)])
        finally:
            self._worker = None

    async def _commit_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._commit([item for item, _ in batch])
            settled = list(zip(batch, results, strict=True))
        except Exception as error:
            await self._fail(batch, error)
            return
        for (_, done), result in settled:
            if not done.done():
                done.set_result(result)

    async def _fail(
        self, batch: list[tuple[Item, asyncio.Future[Result]]], error: Exception
    ) -> None:
        if len(batch) > 1 and not isinstance(error, DatabaseUnavailable):
            middle = len(batch) // 2
            await self._commit_batch(batch[:middle])
            await self._commit_batch(batch[middle:])
            return
        for _, done in batch:
            if not done.done():
                done.set_exception(error)
