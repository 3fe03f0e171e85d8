"""A service's half of `CallService.Exchange`."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

import grpc
import structlog
from google.protobuf.message import Message

from csms.gateway.v1 import call_pb2, call_pb2_grpc
from servicekit.calls.stream import Send, Stream
from servicekit.clock import Clock
from servicekit.errors import ActionNotSupported, InternalError, PlatformError
from servicekit.status import to_status
from servicekit.telemetry import SpanKind, Tracing
from servicekit.timestamps import to_datetime

log = structlog.get_logger()

Item = TypeVar("Item")

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


@dataclass(frozen=True)
class BatchHandler(Generic[Item]):
    """Handles calls of one action together: all of them that one message of the stream brought.

    For actions that come by the thousand and whose response is always the same: a task and a
    context for each call would cost more than what is done with it.

    Attributes:
        read: Returns what a call says; what it raises is the answer to that call alone. A call is
            read once, and nobody looks at its payload afterwards.
        keep: Returns when all items are durable or refused: for each None, or what went wrong. An
            item that failed because the database is away is given again later.
        response: What a call is answered whose item is durable.
    """

    read: Callable[[call_pb2.Call], Item]
    keep: Callable[[Sequence[Item]], Awaitable[Sequence[Exception | None]]]
    response: Message


AnyHandler: TypeAlias = "Handler | BatchHandler[Any]"

ExchangeContext: TypeAlias = (
    "grpc.aio.ServicerContext[call_pb2.ExchangeRequest, call_pb2.ExchangeResponse]"
)


class CallServer(call_pb2_grpc.CallServiceServicer):
    """Runs a handler for each call, or for all calls of an action together, and answers in batches.

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
        handlers: Mapping[str, AnyHandler],
        clock: Clock,
        tracing: Tracing,
        *,
        max_in_flight: int = 4000,
    ) -> None:
        self._handlers, self._clock, self._tracing = handlers, clock, tracing
        self._max_in_flight = max_in_flight
        self._streams: set[Stream] = set()
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
        stream = Stream(self._jobs, self._max_in_flight)
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

    def _jobs(
        self, calls: Sequence[call_pb2.Call], send: Send
    ) -> Iterator[Coroutine[Any, Any, None]]:
        together: dict[str, list[call_pb2.Call]] = {}
        for call in calls:
            name = _name(call)
            if isinstance(self._handlers.get(name), BatchHandler):
                together.setdefault(name, []).append(call)
            else:
                yield self._answer(call, name, send)
        for name, batch in together.items():
            yield self._answer_together(name, batch, send)

    async def _answer(self, call: call_pb2.Call, name: str, send: Send) -> None:
        try:
            handler = self._handler(name)
            response = await self._traced(call, name, handler, _payload(call, name))
            answer = _succeeded(call.sequence, name, response)
        except Exception as error:
            answer = self._failed(call, name, error)
        send([answer])

    async def _answer_together(self, name: str, calls: Sequence[call_pb2.Call], send: Send) -> None:
        handler = self._handlers[name]
        assert isinstance(handler, BatchHandler)
        with ExitStack() as spans:
            waiting = []
            for call in calls:
                if call.traceparent:
                    spans.enter_context(self._span(call, name))
                try:
                    waiting.append((call, handler.read(call)))
                except Exception as error:
                    send([self._failed(call, name, error)])
            await self._keep(name, handler, waiting, send)

    async def _keep(
        self,
        name: str,
        handler: BatchHandler[Item],
        waiting: Sequence[tuple[call_pb2.Call, Item]],
        send: Send,
    ) -> None:
        """Have items kept until each is durable or refused, and answer each as soon as it is."""
        succeeded = _pattern(name, handler.response)
        while waiting:
            again: list[tuple[call_pb2.Call, Item]] = []
            answers = []
            pause = 0.0
            outcomes = await _outcomes(handler, [item for _, item in waiting])
            for (call, item), error in zip(waiting, outcomes, strict=True):
                if error is None:
                    answers.append(_copy(succeeded, call.sequence))
                elif (delay := self._retry_delay(call, error)) is None:
                    answers.append(self._failed(call, name, error))
                else:
                    again.append((call, item))
                    pause = max(pause, delay)
            send(answers)
            waiting = again
            if waiting:
                await asyncio.sleep(pause)

    def _handler(self, name: str) -> Handler:
        handler = self._handlers.get(name)
        if handler is None or isinstance(handler, BatchHandler):
            raise ActionNotSupported(
                f"This service does not own {name or 'an unknown call'}.", action=name
            )
        return handler

    async def _traced(
        self, call: call_pb2.Call, name: str, handler: Handler, payload: Message
    ) -> Message | None:
        context = call_context(call)
        if not call.traceparent:
            return await self._persistent(call, lambda: handler(context, payload))
        with self._span(call, name):
            return await self._persistent(call, lambda: handler(context, payload))

    def _span(self, call: call_pb2.Call, name: str) -> AbstractContextManager[str]:
        return self._tracing.span(
            name,
            parent=call.traceparent,
            kind=SpanKind.SERVER,
            charge_point=call.charge_point_id,
            message_id=call.message_id,
        )

    async def _persistent(
        self, call: call_pb2.Call, attempt: Callable[[], Awaitable[Message | None]]
    ) -> Message | None:
        while True:
            try:
                return await attempt()
            except PlatformError as error:
                delay = self._retry_delay(call, error)
                if delay is None:
                    raise
            await asyncio.sleep(delay)

    def _retry_delay(self, call: call_pb2.Call, error: Exception) -> float | None:
        """Return in how many seconds a call is to be tried again; None: it has failed."""
        if not isinstance(error, PlatformError) or error.retry_after is None:
            return None
        delay = error.retry_after.total_seconds()
        expire = call.expire_time.seconds + call.expire_time.nanos / 1e9
        left = expire - self._clock.now().timestamp()
        return delay if left >= delay + _RETRY_MARGIN_S else None

    def _failed(self, call: call_pb2.Call, name: str, error: Exception) -> call_pb2.Answer:
        if isinstance(error, PlatformError):
            log.warning(
                "call_refused",
                action=name,
                reason=error.reason,
                error=error.message,
                **_identity(call),
            )
        else:
            log.error("call_failed", action=name, exc_info=error, **_identity(call))
            error = InternalError("An internal error occurred; it has been logged.")
        return call_pb2.Answer(sequence=call.sequence, error=to_status(error))


def call_context(call: call_pb2.Call) -> CallContext:
    """Return what is known about a call beside its payload."""
    return CallContext(
        call.charge_point_id,
        call.connection_id,
        call.message_id,
        to_datetime(call.receive_time),
        tuple(call.repairs),
        call.raw_frame,
    )


async def _outcomes(
    handler: BatchHandler[Item], items: Sequence[Item]
) -> Sequence[Exception | None]:
    try:
        return await handler.keep(items)
    except Exception as error:
        return [error] * len(items)


def _name(call: call_pb2.Call) -> str:
    """Return the name of the payload's field; it is empty when a newer gateway sent it."""
    name = call.WhichOneof("payload")
    return (call.request.WhichOneof("request") if name == "request" else name) or ""


def _payload(call: call_pb2.Call, name: str) -> Message:
    carrier: Message = call.request if call.HasField("request") else call
    payload: Message = getattr(carrier, name)
    return payload


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


def _pattern(name: str, response: Message) -> bytes:
    """Return an answer as bytes, but for its sequence."""
    return _succeeded(0, name, response).SerializeToString()


def _copy(pattern: bytes, sequence: int) -> call_pb2.Answer:
    answer = call_pb2.Answer.FromString(pattern)
    answer.sequence = sequence
    return answer
