"""One socket of a charge point: reads frames, answers calls, ends in order."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from gateway.dispatcher import Dispatcher, Incoming, Refusal, Reply, Result
from gateway.ocppj.connection import CallRefused, Connection, Event, UnknownAnswer
from gateway.ocppj.frames import Call, ErrorCode, Malformed
from gateway.presence import Opened, Presence
from gateway.rate_limit import RateLimit
from servicekit.clock import Clock

log = structlog.get_logger()

_SUPERSEDED = 1000
_ABNORMAL_CLOSURE = 1006
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
        presence: Is told of every sign of life.
        clock: The time of day.
        limits: What the socket may do.
    """

    def __init__(
        self,
        socket: ServerConnection,
        opened: Opened,
        *,
        dispatcher: Dispatcher,
        presence: Presence,
        clock: Clock,
        limits: SocketLimits,
    ) -> None:
        self._socket, self._opened = socket, opened
        self._dispatcher, self._presence, self._clock = dispatcher, presence, clock
        self._limits = limits
        self._rate = RateLimit(limits.frames_per_second, time.monotonic)
        self._protocol = Connection()
        self._sending = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._log = log.bind(charge_point=opened.charge_point_id, connection=opened.connection_id)

    async def serve(self) -> None:
        """Read until the socket ends; return when all that was received is answered."""
        try:
            await self._read()
        except ConnectionClosed:
            pass
        finally:
            if self._grace is not None:
                self._grace.cancel()
            await self._settle()

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
            self._presence.seen(self._opened.charge_point_id, self._clock.now())
            self._handle(self._protocol.receive(text))
            await self._flush()
            await self._pause()

    def _text(self, message: str | bytes) -> str | None:
        """Return a frame's text; some software marks its text frames as binary."""
        if isinstance(message, str):
            return message
        try:
            return message.decode()
        except UnicodeDecodeError:
            self._log.warning("binary_frame_ignored", bytes=len(message))
            return None

    async def _pause(self) -> None:
        """Read no faster than calls are answered, and no faster than the charge point may."""
        delay = self._rate.delay()
        if delay > 0:
            await asyncio.sleep(delay)
        while not self._protocol.wants_more and self._is_working():
            await self._one_answer()

    def _is_working(self) -> bool:
        return self._work is not None and not self._work.done()

    async def _one_answer(self) -> None:
        """Wait for the answer under way; it may have begun the next one."""
        assert self._work is not None
        await asyncio.wait({self._work})

    def _handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Call):
                self._begin(event)
            elif isinstance(event, Malformed):
                self._quarantine(event)
            elif isinstance(event, CallRefused):
                self._log.warning("call_refused_queue_full", action=event.call.action[:50])
            elif isinstance(event, UnknownAnswer):
                self._log.info("answer_unknown", message_id=event.answer.message_id)

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

    async def _flush(self) -> None:
        try:
            async with self._sending:  # two that write by turns would mix up the order
                for text in self._protocol.data_to_send():
                    await self._socket.send(text)
        except ConnectionClosed:
            self._log.info("answer_not_sent")

    async def _settle(self) -> None:
        while self._is_working():
            await self._one_answer()
