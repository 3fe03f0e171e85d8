"""The gateway's half of `CallService.Exchange`.

A call costs no task and no future: it is put into bytes at once, travels with whatever queued since
the last write, and its answer goes to a callback.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import grpc
import structlog

from csms.gateway.v1 import call_pb2
from servicekit.backoff import Backoff
from servicekit.clock import Clock
from servicekit.errors import DeadlineExceeded, PlatformError, QueueFull
from servicekit.wire import head

log = structlog.get_logger()

MAX_BATCH: Final = 256
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
"""A batch ends with the call that reaches this; gRPC refuses messages of more than 16 MiB."""

_EXCHANGE: Final = "/csms.gateway.v1.CallService/Exchange"
_WINDOW: Final = 2
"""Batches under way. More would only cut what waits into smaller pieces: the service commits one,
and what came meanwhile is the next."""
_SWEEP_S: Final = 0.05
_CALLS: Final = call_pb2.ExchangeRequest.DESCRIPTOR.fields_by_name["calls"].number

Outcome: TypeAlias = call_pb2.Answer | PlatformError
"""What came of a call: the service's answer, or `DeadlineExceeded` or `QueueFull` without one."""
Done: TypeAlias = Callable[[Outcome], None]
Stream: TypeAlias = "grpc.aio.StreamStreamCall[bytes, call_pb2.ExchangeResponse]"


_Pending: TypeAlias = tuple[bytes, Done, float]
"""A call as it is sent, what takes its outcome, and when it expires: seconds since 1970."""


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
        self._exchange: grpc.aio.StreamStreamMultiCallable[bytes, call_pb2.ExchangeResponse]
        self._exchange = channel.stream_stream(
            _EXCHANGE, response_deserializer=call_pb2.ExchangeResponse.FromString
        )
        self._clock, self._max_pending = clock, max_pending
        self._log = log.bind(upstream=name)
        self._pending: dict[int, _Pending] = {}
        self._unsent: deque[int] = deque()
        self._wake = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._last_sequence = 0
        self._under_way = 0
        self.connected = False

    async def call(self, call: call_pb2.Call) -> call_pb2.Answer:
        """Return the answer to a call; for those who can wait and have few.

        Raises:
            QueueFull: Too many calls wait already.
            DeadlineExceeded: No answer came before the call's `expire_time`.
        """
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not answered.done():  # whoever asked may have given up
                answered.set_result(outcome)

        self.send(call, done)
        outcome = await answered
        if isinstance(outcome, PlatformError):
            raise outcome
        return outcome

    def send(self, call: call_pb2.Call, done: Done, rest: bytes = b"") -> None:
        """Send a call, whose sequence is set here, and give what comes of it to `done`.

        `done` is called once, always later than this returns, and soon after the call's
        `expire_time` at the latest. `rest` are fields that the call lacks, as protobuf writes them.
        """
        if len(self._pending) >= self._max_pending:
            error = QueueFull("Too many calls wait for the service; try again.")
            asyncio.get_running_loop().call_soon(done, error)
            return
        self._last_sequence += 1
        call.sequence = sequence = self._last_sequence
        expire = call.expire_time
        expire_time = expire.seconds + expire.nanos / 1e9
        self._pending[sequence] = (_as_item(call, rest), done, expire_time)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._expire)
        if self.connected:  # otherwise the next stream begins with all that is pending
            self._unsent.append(sequence)
            self._wake.set()

    async def run(self) -> None:
        """Hold the stream, and open another whenever it breaks, until cancelled."""
        backoff = Backoff(first=0.1, most=2.0)
        while True:
            try:
                await self._hold_stream(backoff)
            except Exception:
                # Without its stream the gateway could answer nothing for as long as it lives.
                self._log.exception("call_stream_failed")
            await asyncio.sleep(backoff.next_delay())

    def _expire(self) -> None:
        """End the calls whose time is over, and look again as long as any wait.

        What is under way holds nothing back for longer: its calls may wait for something else.
        """
        self._set_under_way(0)
        now = self._clock.now().timestamp()
        expired = [it for it, (_, _, expire_time) in self._pending.items() if expire_time <= now]
        for sequence in expired:
            self._end(sequence, DeadlineExceeded("The service did not answer in time."))
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(_SWEEP_S, self._expire) if self._pending else None

    async def _hold_stream(self, backoff: Backoff) -> None:
        stream = self._exchange(wait_for_ready=True)
        try:
            async with asyncio.TaskGroup() as pumps:
                writer = pumps.create_task(self._write(stream))
                await self._read(stream, backoff)
                writer.cancel()
        finally:
            self.connected = False
            stream.cancel()

    async def _write(self, stream: Stream) -> None:
        # A write on a stream that has ended fails in either way; the reader says how it ended.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await stream.wait_for_connection()
            self._begin()
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._has_room and (batch := self._next_batch()):
                    self._under_way += 1
                    await stream.write(batch)

    @property
    def _has_room(self) -> bool:
        """Whether a batch may go: few are under way, or it would be as large as one can be."""
        return self._under_way < _WINDOW or len(self._unsent) >= MAX_BATCH

    def _set_under_way(self, batches: int) -> None:
        self._under_way = max(0, batches)
        self._wake.set()

    def _begin(self) -> None:
        """Begin a stream with all that is not answered."""
        self.connected = True
        self._log.info("call_stream_opened", unanswered=len(self._pending))
        self._unsent = deque(self._pending)
        self._set_under_way(0)

    def _next_batch(self) -> bytes:
        """Return an `ExchangeRequest`: its items, one behind the other, are all it consists of."""
        batch: list[bytes] = []
        room = MAX_BATCH_BYTES
        while self._unsent and len(batch) < MAX_BATCH and room > 0:
            pending = self._pending.get(self._unsent.popleft())
            if pending is not None:
                written, _, _ = pending
                batch.append(written)
                room -= len(written)
        return b"".join(batch)

    async def _read(self, stream: Stream, backoff: Backoff) -> None:
        try:
            async for response in stream:
                backoff.reset()
                self._set_under_way(self._under_way - 1)
                for answer in response.answers:
                    self._end(answer.sequence, answer)
            self._log.info("call_stream_ended")
        except grpc.aio.AioRpcError as error:
            self._log.warning("call_stream_broken", code=error.code().name)

    def _end(self, sequence: int, outcome: Outcome) -> None:
        """Tell what came of a call, unless it has ended already."""
        pending = self._pending.pop(sequence, None)
        if pending is None:
            return
        _, done, _ = pending
        try:
            done(outcome)
        except Exception:
            # A caller's defect must cost neither the stream nor the deadlines of the others.
            self._log.exception("answer_not_taken")


def _as_item(call: call_pb2.Call, rest: bytes) -> bytes:
    """Return a call as it stands in `ExchangeRequest.calls`.

    It is written once, however often it is sent, where a list of messages would copy each of them.
    """
    written = call.SerializeToString()
    return b"".join((head(_CALLS, len(written) + len(rest)), written, rest))
