"""The gateway's half of `CallService.Exchange`."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

import grpc
import structlog

from csms.gateway.v1 import call_pb2, call_pb2_grpc
from servicekit.backoff import Backoff
from servicekit.clock import Clock
from servicekit.errors import DeadlineExceeded, QueueFull

log = structlog.get_logger()

MAX_BATCH = 256
MAX_BATCH_BYTES = 4 * 1024 * 1024
"""A batch ends with the call that reaches this; gRPC refuses messages of more than 16 MiB."""


@dataclass(slots=True)
class _Pending:
    call: call_pb2.Call
    answer: asyncio.Future[call_pb2.Answer]
    expiry: asyncio.TimerHandle


class CallClient:
    """Sends calls to one service and returns their answers.

    `run` holds the stream. When it breaks, every call that is not answered is sent again on the
    next one until its deadline: a restart of the service is a pause, not an error.

    Args:
        name: The service's name, for logs.
        channel: The channel to the service.
        clock: Tells when a call expires.
        max_pending: Most calls that may wait for an answer; one more is refused.
    """

    def __init__(
        self, name: str, channel: grpc.aio.Channel, clock: Clock, *, max_pending: int = 20_000
    ) -> None:
        self._stub = call_pb2_grpc.CallServiceStub(channel)
        self._clock, self._max_pending = clock, max_pending
        self._log = log.bind(upstream=name)
        self._pending: dict[int, _Pending] = {}
        self._unsent: deque[int] = deque()
        self._wake = asyncio.Event()
        self._last_sequence = 0
        self.connected = False

    async def call(self, call: call_pb2.Call) -> call_pb2.Answer:
        """Return the answer to a call; its sequence is set here.

        Raises:
            QueueFull: Too many calls wait already.
            DeadlineExceeded: No answer came before the call's `expire_time`.
        """
        if len(self._pending) >= self._max_pending:
            raise QueueFull("Too many calls wait for the service; try again.")
        self._last_sequence += 1
        call.sequence = sequence = self._last_sequence
        answer = self._enqueue(sequence, call)
        try:
            return await answer
        finally:
            self._pending.pop(sequence).expiry.cancel()

    async def run(self) -> None:
        """Hold the stream, and open another whenever it breaks, until cancelled."""
        backoff = Backoff(first=0.1, most=2.0)
        while True:
            try:
                await self._exchange(backoff)
            except Exception:
                # Without its stream the gateway could answer nothing for as long as it lives.
                self._log.exception("call_stream_failed")
            await asyncio.sleep(backoff.next_delay())

    def _enqueue(self, sequence: int, call: call_pb2.Call) -> asyncio.Future[call_pb2.Answer]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[call_pb2.Answer] = loop.create_future()
        expiry = loop.call_later(self._time_left(call), _expire, answer)
        self._pending[sequence] = _Pending(call, answer, expiry)
        if self.connected:  # otherwise the next stream begins with all that is pending
            self._unsent.append(sequence)
            self._wake.set()
        return answer

    def _time_left(self, call: call_pb2.Call) -> float:
        expire = call.expire_time.seconds + call.expire_time.nanos / 1e9
        return max(0.0, expire - self._clock.now().timestamp())

    async def _exchange(self, backoff: Backoff) -> None:
        stream = self._stub.Exchange(wait_for_ready=True)
        try:
            async with asyncio.TaskGroup() as pumps:
                writer = pumps.create_task(self._write(stream))
                await self._read(stream, backoff)
                writer.cancel()
        finally:
            self.connected = False
            stream.cancel()

    async def _write(
        self,
        stream: "grpc.aio.StreamStreamCall[call_pb2.ExchangeRequest, call_pb2.ExchangeResponse]",
    ) -> None:
        # A write on a stream that has ended fails in either way; the reader says how it ended.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await stream.wait_for_connection()
            self._begin()
            while True:
                await self._wake.wait()
                self._wake.clear()
                while batch := self._next_batch():
                    await stream.write(call_pb2.ExchangeRequest(calls=batch))

    def _begin(self) -> None:
        """Begin a stream with all that is not answered."""
        self.connected = True
        self._log.info("call_stream_opened", unanswered=len(self._pending))
        self._unsent = deque(self._pending)
        self._wake.set()

    def _next_batch(self) -> list[call_pb2.Call]:
        batch: list[call_pb2.Call] = []
        room = MAX_BATCH_BYTES
        while self._unsent and len(batch) < MAX_BATCH and room > 0:
            pending = self._pending.get(self._unsent.popleft())
            if pending is not None:
                batch.append(pending.call)
                room -= pending.call.ByteSize()
        return batch

    async def _read(
        self,
        stream: "grpc.aio.StreamStreamCall[call_pb2.ExchangeRequest, call_pb2.ExchangeResponse]",
        backoff: Backoff,
    ) -> None:
        try:
            async for response in stream:
                backoff.reset()
                for answer in response.answers:
                    self._settle(answer)
            self._log.info("call_stream_ended")
        except grpc.aio.AioRpcError as error:
            self._log.warning("call_stream_broken", code=error.code().name)

    def _settle(self, answer: call_pb2.Answer) -> None:
        pending = self._pending.get(answer.sequence)
        if pending is not None and not pending.answer.done():
            pending.answer.set_result(answer)


def _expire(answer: asyncio.Future[call_pb2.Answer]) -> None:
    if not answer.done():
        answer.set_exception(DeadlineExceeded("The service did not answer in time."))
