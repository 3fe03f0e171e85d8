"""A service's half of `CallService.Exchange`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import Message

from csms.gateway.v1 import call_pb2, call_pb2_grpc
from servicekit.clock import Clock
from servicekit.errors import ActionNotSupported, InternalError, PlatformError
from servicekit.status import to_status
from servicekit.telemetry import SpanKind, Tracing

log = structlog.get_logger()

MAX_BATCH = 256
_RETRY_MARGIN_S = 2.0
"""An answer needs this much time to reach the charge point before it gives up."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What is known about a call beside its payload; see `csms.gateway.v1.Call`."""

    charge_point_id: str
    connection_id: str
    message_id: str
    receive_time: datetime
    repairs: tuple[str, ...]
    raw_frame: str


Handler = Callable[[CallContext, Any], Awaitable[Message | None]]
"""Returns the response to a charge point's request, or None to confirm a gateway's report."""

ExchangeContext: TypeAlias = (
    "grpc.aio.ServicerContext[call_pb2.ExchangeRequest, call_pb2.ExchangeResponse]"
)


class CallServer(call_pb2_grpc.CallServiceServicer):
    """Runs a handler for each call and answers in batches.

    A gateway sends the next call of a charge point when the one before is answered, so calls of one
    charge point are handled in order and those of different charge points at the same time. While
    the database is away a call is tried again until shortly before it expires.

    Args:
        handlers: By the name of the payload's field: `start_transaction`, `unreadable_frame`.
        clock: Tells when a call expires.
        tracing: The spans of the process.
        max_in_flight: Calls of one stream worked on at the same time; reading pauses beyond.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        clock: Clock,
        tracing: Tracing,
        *,
        max_in_flight: int = 4000,
    ) -> None:
        self._handlers, self._clock, self._tracing = handlers, clock, tracing
        self._max_in_flight = max_in_flight
        self._streams: set[_Stream] = set()
        self._draining = False

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        call_pb2_grpc.add_CallServiceServicer_to_server(self, server)
        return str(call_pb2.DESCRIPTOR.services_by_name["CallService"].full_name)

    async def Exchange(
        self,
        request_iterator: AsyncIterator[call_pb2.ExchangeRequest],
        context: ExchangeContext,
    ) -> AsyncIterator[call_pb2.ExchangeResponse]:
        """Serve one gateway until its stream ends or this service stops."""
        if self._draining:  # a gateway comes back at once: the stream is for the next process
            await context.abort(grpc.StatusCode.UNAVAILABLE, "The service stops; try again.")
        stream = _Stream(self._answer, self._max_in_flight)
        self._streams.add(stream)
        try:
            async for answers in stream.batches(request_iterator):
                yield call_pb2.ExchangeResponse(answers=answers)
        finally:
            self._streams.discard(stream)

    async def drain(self) -> None:
        """Read no more calls, answer those that are being worked on, end the streams."""
        self._draining = True
        streams = list(self._streams)
        for stream in streams:
            stream.stop_reading()
        await asyncio.gather(*(stream.ended.wait() for stream in streams))

    async def _answer(self, call: call_pb2.Call) -> call_pb2.Answer:
        name, payload = _payload(call)
        try:
            response = await self._traced(call, name, self._handler(name), payload)
            return _succeeded(call.sequence, name, response)
        except PlatformError as error:
            return self._failed(call, name, error)
        except Exception:
            log.exception("call_failed", action=name, **_identity(call))
            defect = InternalError("An internal error occurred; it has been logged.")
            return call_pb2.Answer(sequence=call.sequence, error=to_status(defect))

    def _handler(self, name: str) -> Handler:
        handler = self._handlers.get(name)
        if handler is None:
            raise ActionNotSupported(
                f"This service does not own {name or 'an unknown call'}.", action=name
            )
        return handler

    async def _traced(
        self, call: call_pb2.Call, name: str, handler: Handler, payload: Message
    ) -> Message | None:
        context = _context(call)
        if not call.traceparent:
            return await self._persistent(call, lambda: handler(context, payload))
        with self._tracing.span(
            name,
            parent=call.traceparent,
            kind=SpanKind.SERVER,
            charge_point=call.charge_point_id,
            message_id=call.message_id,
        ):
            return await self._persistent(call, lambda: handler(context, payload))

    async def _persistent(
        self, call: call_pb2.Call, attempt: Callable[[], Awaitable[Message | None]]
    ) -> Message | None:
        while True:
            try:
                return await attempt()
            except PlatformError as error:
                delay = error.retry_after.total_seconds() if error.retry_after else None
                if delay is None or self._time_left(call) < delay + _RETRY_MARGIN_S:
                    raise
            await asyncio.sleep(delay)

    def _time_left(self, call: call_pb2.Call) -> float:
        expire = call.expire_time.seconds + call.expire_time.nanos / 1e9
        return expire - self._clock.now().timestamp()

    def _failed(self, call: call_pb2.Call, name: str, error: PlatformError) -> call_pb2.Answer:
        log.warning(
            "call_refused",
            action=name,
            reason=error.reason,
            error=error.message,
            **_identity(call),
        )
        return call_pb2.Answer(sequence=call.sequence, error=to_status(error))


class _Stream:
    """One gateway's stream: a reader that starts calls, and the answers in batches."""

    def __init__(
        self, answer: Callable[[call_pb2.Call], Awaitable[call_pb2.Answer]], max_in_flight: int
    ) -> None:
        self._answer = answer
        self._room = asyncio.Semaphore(max_in_flight)
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
        for _ in batch:
            self._room.release()
        return batch

    async def _read(self, requests: AsyncIterator[call_pb2.ExchangeRequest]) -> None:
        async for request in requests:
            for call in request.calls:
                await self._room.acquire()
                self._running.add(asyncio.create_task(self._run(call)))

    async def _run(self, call: call_pb2.Call) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            self._ready.append(await self._answer(call))
        finally:
            self._running.discard(task)
            self._wake.set()


def _payload(call: call_pb2.Call) -> tuple[str, Message]:
    """Return the payload and its field's name; the name is empty when a newer gateway sent it."""
    carrier: Message = call
    name: str = call.WhichOneof("payload") or ""
    if name == "request":
        carrier = call.request
        name = call.request.WhichOneof("request") or ""
    return name, getattr(carrier, name) if name else carrier


def _context(call: call_pb2.Call) -> CallContext:
    return CallContext(
        call.charge_point_id,
        call.connection_id,
        call.message_id,
        call.receive_time.ToDatetime(UTC),
        tuple(call.repairs),
        call.raw_frame,
    )


def _identity(call: call_pb2.Call) -> dict[str, str]:
    return {
        "charge_point": call.charge_point_id,
        "connection": call.connection_id,
        "message_id": call.message_id,
    }


def _succeeded(sequence: int, name: str, response: Message | None) -> call_pb2.Answer:
    if response is None:
        return call_pb2.Answer(sequence=sequence, report_stored=call_pb2.ReportStored())
    answer = call_pb2.Answer(sequence=sequence)
    getattr(answer.response, name).CopyFrom(response)
    return answer
