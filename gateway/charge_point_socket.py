"""One socket of a charge point: reads frames, answers calls, ends in order."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from csms.gateway.v1.gateway_link_pb2 import CommandResult, DeliverCommand
from gateway.connections import Connections, Opened
from gateway.deliveries import Deliveries
from gateway.dispatcher import Dispatcher, Incoming, Refusal, Reply, Result
from gateway.journal import Entry, Tape
from gateway.ocppj.connection import CallRefused, CallSent, Connection, Event, UnknownAnswer
from gateway.ocppj.frames import Call, CallError, CallResult, ErrorCode, Malformed
from gateway.outcomes import Outcomes
from gateway.rate_limit import RateLimit
from servicekit.clock import Clock

log = structlog.get_logger()

_SUPERSEDED = 1000
_ABNORMAL_CLOSURE = 1006
_PAUSE_ABOVE_CALLS = 16
_FRAME_COST_BYTES = 1024
_MAX_AHEAD_BYTES = 2 * 1024 * 1024
_MAX_PENDING_CALLS = _MAX_AHEAD_BYTES // _FRAME_COST_BYTES + 2 * _PAUSE_ABOVE_CALLS
_MAX_AHEAD_S = 5.0
_OUR_CALL = "[2,"
_DEFECT = Refusal(ErrorCode.INTERNAL_ERROR, "An internal error occurred; it has been logged.")


@dataclass(frozen=True)
class SocketLimits:
    """What one socket may do."""

    frames_per_second: float
    superseded_grace_s: float


class ChargePointSocket:
    """Serves one connection from its first frame until its last answer.

    What was received is answered by the service even if the socket closes a millisecond later: the
    work on a call is never cancelled with its socket.

    Args:
        socket: The WebSocket, its opening handshake done.
        opened: The connection as device_service is told of it.
        dispatcher: Answers calls.
        outcomes: Translates commands and their answers.
        connections: Is told of every sign of life.
        tape: Keeps the frames.
        clock: The time of day.
        limits: What the socket may do.
    """

    def __init__(
        self,
        socket: ServerConnection,
        opened: Opened,
        *,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        connections: Connections,
        tape: Tape,
        clock: Clock,
        limits: SocketLimits,
    ) -> None:
        self._socket, self._opened = socket, opened
        self._dispatcher, self._connections, self._clock = dispatcher, connections, clock
        self._limits, self._tape = limits, tape
        self._rate = RateLimit(limits.frames_per_second, time.monotonic)
        self._protocol = Connection(
            max_pending_calls=_MAX_PENDING_CALLS, pause_above=_PAUSE_ABOVE_CALLS
        )
        self._deliveries = Deliveries(
            self._protocol,
            push=self._push,
            quarantine=self._quarantine,
            outcomes=outcomes,
            clock=clock,
        )
        self._ahead_bytes = 0
        self._sending = asyncio.Lock()
        self._flushes: set[asyncio.Task[None]] = set()
        self._work: asyncio.Task[None] | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._log = log.bind(charge_point=opened.charge_point_id, connection=opened.connection_id)

    async def serve(self) -> None:
        """Read until the socket ends; commands that have no answer by then have failed."""
        try:
            await self._read()
        except ConnectionClosed:
            pass
        finally:
            self._deliveries.lose_all()
            if self._grace is not None:
                self._grace.cancel()

    async def settle(self) -> None:
        """Return when all that was received is answered by the services."""
        while self._is_working():
            await self._one_answer()

    async def deliver(
        self, command: DeliverCommand, on_sent: Callable[[datetime], None]
    ) -> CommandResult:
        """Send a command and return what came of it; `on_sent` is called when it is written."""
        return await self._deliveries.deliver(command, on_sent)

    def end_after_grace(self) -> None:
        """Close by itself after a while: a newer connection has taken this one's place."""
        loop = asyncio.get_running_loop()
        self._grace = loop.call_later(self._limits.superseded_grace_s, self._say_farewell)

    @property
    def close_code(self) -> int:
        """The WebSocket close code (RFC 6455, 7.4.1); 1006 when the line dropped."""
        return self._socket.close_code or _ABNORMAL_CLOSURE

    @property
    def close_reason(self) -> str:
        """Why the socket ended, as far as the peer said."""
        return self._socket.close_reason or ""

    def _say_farewell(self) -> None:
        self._farewell = asyncio.create_task(self._socket.close(_SUPERSEDED, "superseded"))

    async def _read(self) -> None:
        async for message in self._socket:
            text = self._text(message)
            if text is None:
                continue
            self._record(text, from_charge_point=True)
            self._handle(self._protocol.receive(text))
            await self._flush()
            await self._pause(len(text))

    def _text(self, message: str | bytes) -> str | None:
        """Return a frame's text; some software marks its text frames as binary."""
        if isinstance(message, str):
            return message
        try:
            return message.decode()
        except UnicodeDecodeError:
            self._log.warning("binary_frame_ignored", bytes=len(message))
            return None

    def _record(self, text: str, *, from_charge_point: bool) -> None:
        now = self._clock.now()
        self._tape.record(Entry(now, from_charge_point, text, self._opened.connection_id))
        if from_charge_point:
            self._connections.seen(self._opened.charge_point_id, now)

    async def _pause(self, size: int) -> None:
        """Read no faster than calls are answered, and no faster than the charge point may.

        While the charge point owes us an answer it is read on, within bounds: the answer may come
        behind a flood of calls, and neither direction waits for the other (OCPP-J 1.6, 4.1.1).
        """
        delay = self._rate.delay()
        self._ahead_bytes += size + _FRAME_COST_BYTES
        if self._protocol.wants_more:
            self._ahead_bytes = 0
        if delay > 0 and not (self._reads_ahead and delay < _MAX_AHEAD_S):
            await asyncio.wait({self._deliveries.next_begun()}, timeout=delay)
        while not self._protocol.wants_more and self._is_working() and not self._reads_ahead:
            await self._one_answer(or_until=self._deliveries.next_begun())

    @property
    def _reads_ahead(self) -> bool:
        return self._deliveries.under_way and self._ahead_bytes < _MAX_AHEAD_BYTES

    def _is_working(self) -> bool:
        return self._work is not None and not self._work.done()

    async def _one_answer(self, *, or_until: asyncio.Future[None] | None = None) -> None:
        """Wait for the answer under way; it may have begun the next one."""
        assert self._work is not None
        ends: set[asyncio.Future[None]] = {self._work} | ({or_until} if or_until else set())
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    def _handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Call):
                self._begin(event)
            elif isinstance(event, Malformed):
                self._quarantine(event)
            elif isinstance(event, CallRefused):
                self._log.warning("call_refused_queue_full", action=event.call.action[:50])
            elif isinstance(event, UnknownAnswer):
                self._log.info("answer_unknown", message_id=event.answer.message_id[:50])
            elif isinstance(event, CallSent):
                self._deliveries.announce(event)
            elif isinstance(event, CallResult | CallError):
                self._deliveries.take(event)

    def _begin(self, call: Call) -> None:
        """Answer a call: at once when the gateway can, else in a task of its own."""
        reply = self._dispatcher.answer_here(call)
        if reply is not None:
            self._reply(call, reply)
        else:
            self._work = asyncio.create_task(self._answer(call))

    async def _answer(self, call: Call) -> None:
        incoming = Incoming(
            call, self._opened.charge_point_id, self._opened.connection_id, self._clock.now()
        )
        try:
            self._reply(call, await self._dispatcher.answer(incoming))
        except Exception:
            self._log.exception("call_failed", action=call.action[:50])
            self._reply(call, _DEFECT)
        await self._flush()

    def _reply(self, call: Call, reply: Reply) -> None:
        if isinstance(reply, Result):
            following = self._protocol.answer(call, reply.payload)
        else:
            following = self._protocol.fail(call, reply.code, reply.description)
        self._handle(following)

    def _quarantine(self, frame: Malformed) -> None:
        self._dispatcher.quarantine(
            frame, self._opened.charge_point_id, self._opened.connection_id, self._clock.now()
        )

    def _push(self, events: Sequence[Event]) -> None:
        """Handle events and send in the background: a flush that is cut short would lose frames."""
        self._handle(events)
        task = asyncio.create_task(self._flush())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _flush(self) -> None:
        try:
            async with self._sending:  # two that write by turns would mix up the order
                for text in self._protocol.data_to_send():
                    await self._send(text)
        except ConnectionClosed:
            self._log.info("answer_not_sent")

    async def _send(self, text: str) -> None:
        is_ours = text.startswith(_OUR_CALL)
        if is_ours and (self._socket.state is not State.OPEN or not self._deliveries.may_write()):
            return
        self._record(text, from_charge_point=False)
        await self._socket.send(text)
