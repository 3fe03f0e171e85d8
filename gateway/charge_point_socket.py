"""One socket of a charge point: reads frames, answers calls, ends in order."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from csms.gateway.v1.gateway_link_pb2 import CommandResult, DeliverCommand
from gateway.connections import Connections, Opened
from gateway.deliveries import Deliveries
from gateway.dispatcher import Dispatcher, Reply, Result
from gateway.journal import RECEIVED, SENT, Tape
from gateway.ocppj.connection import CallRefused, CallSent, Connection, Event, UnknownAnswer
from gateway.ocppj.frames import Call, CallError, CallResult, Malformed, MessageId
from gateway.outcomes import Outcomes
from gateway.rate_limit import RateLimit
from gateway.upstream import Origin
from gateway.websocket import WebSocket
from servicekit.clock import Clock

log = structlog.get_logger()

_SUPERSEDED: Final = 1000
_PAUSE_ABOVE_CALLS: Final = 16
_FRAME_COST_BYTES: Final = 1024
_MAX_AHEAD_BYTES: Final = 2 * 1024 * 1024
_MAX_PENDING_CALLS: Final = _MAX_AHEAD_BYTES // _FRAME_COST_BYTES + 2 * _PAUSE_ABOVE_CALLS
_MAX_AHEAD_S: Final = 5.0
_OUR_CALL: Final = "[2,"


@dataclass(frozen=True)
class SocketLimits:
    """What one socket may do."""

    frames_per_second: float
    superseded_grace_s: float


class ChargePointSocket:
    """Serves one connection from its first frame until its last answer.

    Frames come and answers go by callbacks, on one thread: a frame is read, its call handed to the
    dispatcher, and the next frame read, before anything else happens on this socket. What was
    received is answered by the service even if the socket closes a millisecond later.

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
        socket: WebSocket,
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
            max_pending_calls=_MAX_PENDING_CALLS,
            pause_above=_PAUSE_ABOVE_CALLS,
            read=dispatcher.reader().read,
        )
        self._deliveries = Deliveries(
            self._protocol,
            push=self._push,
            begun=self._read_at_once,
            quarantine=lambda frame: self._note(frame, clock.now()),
            outcomes=outcomes,
            clock=clock,
        )
        self._ahead_bytes = 0
        self._reads = True
        self._rest: asyncio.TimerHandle | None = None
        self._settled: asyncio.Future[None] | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._log = log.bind(charge_point=opened.charge_point_id, connection=opened.connection_id)

    async def serve(self) -> None:
        """Read until the socket ends; commands that have no answer by then have failed."""
        self._socket.begin(self)
        try:
            await self._socket.wait_ended()
        finally:
            self._deliveries.lose_all()
            self.stay()

    async def settle(self) -> None:
        """Return when all that was received is answered by the services."""
        if self._protocol.has_open_call:
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    async def deliver(
        self, command: DeliverCommand, on_sent: Callable[[datetime], None]
    ) -> CommandResult:
        """Send a command and return what came of it; `on_sent` is called when it is written."""
        return await self._deliveries.deliver(command, on_sent)

    def end_after_grace(self) -> None:
        """Close by itself after a while: a newer connection has taken this one's place."""
        loop = asyncio.get_running_loop()
        self._grace = loop.call_later(
            self._limits.superseded_grace_s, self._socket.close, _SUPERSEDED, "superseded"
        )

    def stay(self) -> None:
        """Do not close by itself: this is the charge point's newest connection again."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    @property
    def close_code(self) -> int:
        """The WebSocket close code (RFC 6455, 7.4.1); 1006 when the line dropped."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        """Why the socket ended, as far as the peer said."""
        return self._socket.close_reason

    # Frames of the charge point

    def received(self, message: str | bytes) -> None:
        """Take a frame."""
        text = message if isinstance(message, str) else self._text(message)
        if text is None:
            return
        now = self._clock.now()
        self._tape.record((now, RECEIVED, text, self._opened.connection_id))
        self._connections.seen(self._opened.charge_point_id, now)
        self._handle(self._protocol.receive(text), now)
        self._flush(now)
        self._pace(len(text))

    def writable(self) -> None:
        """Send what had to wait because the charge point did not read."""
        self._flush(self._clock.now())

    def _text(self, message: bytes) -> str | None:
        """Return a frame's text; some software marks its text frames as binary."""
        try:
            return message.decode()
        except UnicodeDecodeError:
            self._log.warning("binary_frame_ignored", bytes=len(message))
            return None

    def _handle(self, events: Sequence[Event], now: datetime) -> None:
        """Act on events, and on those that follow when a call has its answer at once."""
        while events:
            following: list[Event] = []
            for event in events:
                if isinstance(event, Call):
                    following += self._begin(event, now)
                else:
                    self._note(event, now)
            events = following

    def _note(self, event: Event, now: datetime) -> None:
        if isinstance(event, CallResult | CallError):
            self._deliveries.take(event)
        elif isinstance(event, CallSent):
            self._deliveries.announce(event)
        elif isinstance(event, Malformed):
            self._dispatcher.quarantine(event, self._origin(event.message_id or "", now))
        elif isinstance(event, CallRefused):
            self._log.warning("call_refused_queue_full", action=event.call.action[:50])
        elif isinstance(event, UnknownAnswer):
            self._log.info("answer_unknown", message_id=event.answer.message_id[:50])

    def _begin(self, call: Call, now: datetime) -> Sequence[Event]:
        """Have a call answered; the events hold the next one if the gateway could do so itself."""
        origin = self._origin(call.message_id, now)
        reply = self._dispatcher.answer(call, origin, partial(self._answered, call))
        return () if reply is None else self._reply(call, reply)

    def _answered(self, call: Call, reply: Reply) -> None:
        """Pass on a service's answer, and go on with the next call."""
        self._push(self._reply(call, reply))
        self._read_or_pause()
        if self._settled is not None and not self._protocol.has_open_call:
            self._settled.set_result(None)

    def _reply(self, call: Call, reply: Reply) -> Sequence[Event]:
        if isinstance(reply, Result):
            return self._protocol.answer(call, reply.payload)
        return self._protocol.fail(call, reply.code, reply.description)

    def _origin(self, message_id: MessageId, now: datetime) -> Origin:
        opened = self._opened
        return Origin(opened.charge_point_id, opened.connection_id, str(message_id), now)

    # Frames to the charge point

    def _push(self, events: Sequence[Event]) -> None:
        """Handle events and send what there is to send."""
        now = self._clock.now()
        self._handle(events, now)
        self._flush(now)

    def _flush(self, now: datetime) -> None:
        """Send, unless the charge point does not read: then `writable` brings the rest."""
        if not (self._protocol.has_data and self._socket.is_writable):
            return
        texts = self._protocol.data_to_send()
        if self._socket.is_open:
            for text in texts:
                self._send(text, now)
        elif texts:
            self._log.info("answer_not_sent")

    def _send(self, text: str, now: datetime) -> None:
        if text.startswith(_OUR_CALL) and not self._deliveries.may_write():
            return
        self._tape.record((now, SENT, text, self._opened.connection_id))
        self._socket.send(text)

    # How fast it may send

    def _pace(self, size: int) -> None:
        """Read no faster than calls are answered, and no faster than the charge point may.

        While the charge point owes us an answer it is read on, within bounds: the answer may come
        behind a flood of calls, and neither direction waits for the other (OCPP-J 1.6, 4.1.1).
        """
        delay = self._rate.delay()
        if delay == 0 and self._reads and self._protocol.wants_more:
            self._ahead_bytes = 0
            return
        self._ahead_bytes += size + _FRAME_COST_BYTES
        if delay > 0 and not (self._reads_ahead and delay < _MAX_AHEAD_S):
            self._rest = asyncio.get_running_loop().call_later(delay, self._read_at_once)
        self._read_or_pause()

    @property
    def _reads_ahead(self) -> bool:
        return self._deliveries.under_way and self._ahead_bytes < _MAX_AHEAD_BYTES

    def _read_at_once(self) -> None:
        """End the rest of a charge point that was too fast: it is over, or a command begins."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._read_or_pause()

    def _read_or_pause(self) -> None:
        reads = self._rest is None and (self._protocol.wants_more or self._reads_ahead)
        if reads == self._reads:
            return
        self._reads = reads
        if reads:
            self._socket.resume_reading()
        else:
            self._socket.pause_reading()
