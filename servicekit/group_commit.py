"""Group commit: what queued while the last commit ran becomes the next commit.

There is no timer: a lone item is committed at once, and under load the batches grow by themselves
(ADR 0004 has the measurements).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from servicekit.errors import DatabaseUnavailable, QueueFull

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Submission(NamedTuple, Generic[Item, Result]):
    """Items that wait together, and their outcomes: results, or what went wrong."""

    items: Sequence[Item]
    outcomes: "asyncio.Future[Sequence[Result | Exception]]"


class GroupCommit(Generic[Item, Result]):
    """Commits items together and gives each its own result.

    When a batch fails for another reason than an outage, its halves are committed on their own, and
    so on, so that an item that cannot be stored fails alone and costs the others few commits.

    Args:
        commit: Stores the items in one transaction and returns a result for each, in order.
        max_batch: Most items in one transaction, unless more were submitted together.
        max_queued: Most items that may wait; what comes when so many wait is refused.
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
        self._queue: deque[_Submission[Item, Result]] = deque()
        self._queued = 0
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the item's result once it is committed.

        Raises:
            QueueFull: Too many items wait already.
            DatabaseUnavailable: The database is away; the item was not stored.
        """
        (outcome,) = await self.submit_all([item])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def submit_all(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """Return for each item, once all are settled, its result or why it was not stored.

        Raises:
            QueueFull: Too many items wait already.
        """
        if self._queued >= self._max_queued:
            raise QueueFull("Too many messages wait to be stored; try again.")
        submission: _Submission[Item, Result] = _Submission(
            items, asyncio.get_running_loop().create_future()
        )
        self._queue.append(submission)
        self._queued += len(items)
        if self._worker is None:
            self._worker = asyncio.create_task(self._drain())
        return await submission.outcomes

    async def close(self) -> None:
        """Wait until all that was submitted has its result."""
        while self._worker is not None:
            await asyncio.wait({self._worker})

    async def _drain(self) -> None:
        try:
            while self._queue:
                batch = self._next_batch()
                outcomes = await self._settle([item for each in batch for item in each.items])
                begin = 0
                for items, waiting in batch:
                    if not waiting.done():
                        waiting.set_result(outcomes[begin : begin + len(items)])
                    begin += len(items)
        finally:
            self._worker = None

    def _next_batch(self) -> list[_Submission[Item, Result]]:
        """Take what was submitted first: as much as a batch holds, and one submission at least."""
        batch: list[_Submission[Item, Result]] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].items) <= self._max_batch):
            batch.append(self._queue.popleft())
            size += len(batch[-1].items)
        self._queued -= size
        return batch

    async def _settle(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """Commit items and return what came of each."""
        try:
            results = await self._commit(items)
            return [result for result, _ in zip(results, items, strict=True)]
        except Exception as error:
            if len(items) == 1 or isinstance(error, DatabaseUnavailable):
                return [error] * len(items)
        middle = len(items) // 2
        return [*await self._settle(items[:middle]), *await self._settle(items[middle:])]
