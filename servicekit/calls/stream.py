"""One gateway's stream: a reader that starts work, and the answers in batches."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeAlias

import structlog

from csms.gateway.v1 import call_pb2

log = structlog.get_logger()

MAX_BATCH = 256

Send: TypeAlias = Callable[[Iterable[call_pb2.Answer]], None]
"""Takes answers that are ready."""
Jobs: TypeAlias = Callable[[Sequence[call_pb2.Call], Send], Iterable[Coroutine[Any, Any, None]]]
"""Returns the work that calls make, which sends one answer for each call."""


class Stream:
    """Reads calls, has them worked on, and yields the answers as they become ready.

    Args:
        jobs: Returns the work that calls make.
        max_in_flight: Calls worked on at the same time; reading pauses beyond.
    """

    def __init__(self, jobs: Jobs, max_in_flight: int) -> None:
        self._jobs, self._room = jobs, max_in_flight
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._running: set[asyncio.Task[None]] = set()
        self._ready: deque[call_pb2.Answer] = deque()
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    async def batches(
        self, requests: AsyncIterator[call_pb2.ExchangeRequest]
    ) -> AsyncIterator[list[call_pb2.Answer]]:
        """Yield answers as they become ready, until all that was read is answered."""
        self._reader = asyncio.create_task(self._read(requests))
        self._reader.add_done_callback(self._reader_ended)
        try:
            while self._running or self._ready or not self._reader.done():
                await self._wake.wait()
                self._wake.clear()
                while self._ready:
                    yield self._next_batch()
        finally:
            self._reader.cancel()
            self.ended.set()

    def stop_reading(self) -> None:
        """Take no more calls; those that were read are still answered."""
        if self._reader is not None:
            self._reader.cancel()

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled() and (error := reader.exception()) is not None:
            log.warning("call_stream_unreadable", error=str(error))
        self._wake.set()

    def _next_batch(self) -> list[call_pb2.Answer]:
        """Take answers; an answer that the gateway does not fetch keeps its place in the room."""
        batch = [self._ready.popleft() for _ in range(min(len(self._ready), MAX_BATCH))]
        self._room += len(batch)
        self._has_room.set()
        return batch

    async def _read(self, requests: AsyncIterator[call_pb2.ExchangeRequest]) -> None:
        async for request in requests:
            calls: Sequence[call_pb2.Call] = request.calls
            while calls:
                await self._has_room.wait()
                taken, calls = calls[: self._room], calls[self._room :]
                self._start(taken)

    def _start(self, calls: Sequence[call_pb2.Call]) -> None:
        self._room -= len(calls)
        if not self._room:
            self._has_room.clear()
        for job in self._jobs(calls, self._send):
            task = asyncio.create_task(job)
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _send(self, answers: Iterable[call_pb2.Answer]) -> None:
        self._ready.extend(answers)
        self._wake.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()
