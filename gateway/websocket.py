"""WebSockets on an event loop, driven by callbacks: a message costs no task, queue or future.

The protocol is that of the `websockets` package without I/O (`ServerProtocol`): handshake, limits,
fragments, pings, closing. One thing is read and written here, because it is nearly all there is on
the wire: a text that fills one frame (docs/adr/0011-callbacks.md).
"""

import asyncio
import contextlib
import http
import logging
import math
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from websockets.frames import CloseCode, Frame, Opcode, apply_mask
from websockets.http11 import Request, Response
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

_OPEN_TIMEOUT_S: Final = 15
_CLOSE_TIMEOUT_S: Final = 2
_WRITE_LIMIT_BYTES: Final = 32 * 1024
_SERVER: Final = "voltmesh"

_FINAL_TEXT: Final = 0x81  # the first byte of a frame (RFC 6455, 5.2)
_MASKED: Final = 0x80
_SHORT: Final = 125
_SIZE_IN_2_BYTES: Final = 126
_MOST_IN_2_BYTES: Final = 0xFFFF

# The gateway logs each connection itself, in its words.
_SILENT: Final = logging.getLogger("gateway.websockets")
_SILENT.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class WebSocketLimits:
    """What one socket may do.

    Attributes:
        max_message_bytes: The largest message; a larger one closes the socket (1009).
        ping_interval_s: Seconds until a ping is sent, and from its pong to the next.
        ping_timeout_s: Seconds without its pong after which the socket is closed (1011); it is
            asked again when it was not read all the while.
    """

    max_message_bytes: int
    ping_interval_s: float
    ping_timeout_s: float


class Receiver(Protocol):
    """Takes what comes on one socket."""

    def received(self, message: str | bytes) -> None:
        """Take a message: text, or bytes that the peer has marked as binary."""

    def writable(self) -> None:
        """Send what could not be sent while the peer did not read."""


class WebSocket(asyncio.Protocol):
    """One connection, from its HTTP request to its last message.

    Messages come in order, and none while the receiver has paused reading or the peer does not read
    its answers. What was received before the end also comes after it.

    Attributes:
        is_open: Whether what is sent may still arrive.
        is_writable: Whether the peer reads; if not, the receiver hears when it does again.

    Args:
        limits: What the socket may do.
    """

    def __init__(self, limits: WebSocketLimits) -> None:
        self._limits = limits
        self._protocol = ServerProtocol(max_size=limits.max_message_bytes, logger=_SILENT)
        self._loop = asyncio.get_running_loop()
        self._request: asyncio.Future[Request | None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._receiver: Receiver | None = None
        self._frames: deque[Frame] = deque()
        self._fragments = bytearray()
        self._kind: Opcode | None = None  # of the message that the fragments make
        self._unread = 0.0  # bytes that belong to a frame which is not whole
        self._is_between_frames = False
        self._wants_more = True
        self._was_held_back = False
        self.is_open = False
        self.is_writable = True
        self._is_made = self._is_closing = self._is_lost = self._is_handing_out = False
        self._ping_data = b""

    @property
    def close_code(self) -> int:
        """The code that the peer closed with (RFC 6455, 7.4.1); 1006 when the line dropped."""
        return self._protocol.close_code or CloseCode.ABNORMAL_CLOSURE

    @property
    def close_reason(self) -> str:
        """Why the socket ended, as far as the peer said."""
        return self._protocol.close_reason or ""

    @property
    def remote_address(self) -> str:
        """host:port of the peer; empty when it had gone before anybody asked."""
        peer = self._transport.get_extra_info("peername")
        return f"{peer[0]}:{peer[1]}" if peer else ""

    # What a server does with it

    async def request(self) -> Request | None:
        """Return the peer's HTTP request; None when it left without one that can be read."""
        return await self._request

    def refuse(self, response: Response) -> None:
        """Answer the request over HTTP and let the connection go."""
        if self._is_opening:
            response.headers["Server"] = _SERVER
            self._protocol.send_response(response)
            self._write()
            self._regulate()

    def accept(self, subprotocol: str) -> bool:
        """Complete the handshake, or refuse what asks for no WebSocket; tell whether it is open.

        Args:
            subprotocol: What is confirmed to the peer; empty for none.
        """
        request = self._request.result() if self._request.done() else None
        if request is None or not self._is_opening:
            return False
        response = self._protocol.accept(request)
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.refuse(response)
            return False
        if subprotocol:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        response.headers["Server"] = _SERVER
        self._protocol.send_response(response)
        self._write()
        return True

    def begin(self, receiver: Receiver) -> None:
        """Give what comes to a receiver from now on."""
        self._receiver = receiver
        self._is_between_frames = self._unread == 0
        self._set_timer(self._limits.ping_interval_s, self._ping)
        self._regulate()
        self._hand_out()

    def send(self, text: str) -> None:
        """Send a text; does nothing when the socket is not open."""
        if self.is_open:
            self._transport.write(_text_frame(text.encode()))

    def pause_reading(self) -> None:
        """Let no more messages come."""
        self._wants_more, self._was_held_back = False, True
        self._regulate()

    def resume_reading(self) -> None:
        """Let messages come again, those that were held back at once."""
        self._wants_more = True
        self._regulate()
        self._hand_out()

    def close(self, code: int, reason: str) -> None:
        """Begin to close; a handshake that is not over yet is refused (503)."""
        if self.is_open:
            self._protocol.send_close(code, reason)
            self._write()
        else:
            busy = http.HTTPStatus.SERVICE_UNAVAILABLE
            self.refuse(self._protocol.reject(busy, "The gateway stops; try again.\n"))

    async def wait_ended(self) -> None:
        """Return when the connection is lost and its last message was taken."""
        await self._ended

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the HTTP request (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_WRITE_LIMIT_BYTES)
        self._timer = self._loop.call_later(_OPEN_TIMEOUT_S, self._transport.abort)
        self._is_made = True
        self._write()  # it may have been closed already

    def data_received(self, data: bytes) -> None:
        """Read bytes (asyncio)."""
        text = _lone_text(data) if self._is_between_frames else None
        if text is None:
            self._receive(data)
        else:
            self._take_text(text)

    def eof_received(self) -> None:
        """Let the transport close (asyncio)."""
        self._protocol.receive_eof()
        self._write()

    def pause_writing(self) -> None:
        """Read no more from a peer that does not read (asyncio)."""
        self.is_writable = False
        self._regulate()

    def resume_writing(self) -> None:
        """Send what had to wait, then read on (asyncio)."""
        self.is_writable = True
        if self._receiver is not None:
            self._receiver.writable()
        self._regulate()
        self._hand_out()

    def connection_lost(self, _: Exception | None) -> None:
        """Hand out what was received, then end (asyncio)."""
        self._timer.cancel()
        self._protocol.receive_eof()
        self.is_open = False
        self._is_lost = self.is_writable = True
        if not self._request.done():
            self._request.set_result(None)
        self._hand_out()

    # Frames

    def _receive(self, data: bytes) -> None:
        """Let the protocol read what is no lone text."""
        self._is_between_frames = False
        self._protocol.receive_data(data)
        self._unread += len(data)
        for event in self._protocol.events_received():
            self._sort(event, data)
        self._write()
        self._hand_out()
        whole = self._unread == 0 and not self._frames and self._kind is None
        self._is_between_frames = whole and self.is_open and self._receiver is not None

    def _sort(self, event: Event, data: bytes) -> None:
        if isinstance(event, Request):
            # Reading pauses until the answer. Who speaks before it never gets the short way.
            self._unread = 0 if data.endswith(b"\r\n\r\n") else math.inf
            self._request.set_result(event)
            self._regulate()
        elif isinstance(event, Frame):
            self._unread -= _wire_size(event)
            if event.opcode is Opcode.PONG:
                self._take_pong(bytes(event.data))
            elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._frames.append(event)

    def _hand_out(self) -> None:
        """Hand out what is there, one at a time, as long as it is wanted."""
        if self._is_handing_out or (self._receiver is None and not self._is_lost):
            return
        self._is_handing_out = True
        try:
            while self._frames and self._flows:
                self._take(self._frames.popleft())
        finally:
            self._is_handing_out = False
        if self._is_lost and not self._frames and not self._ended.done():
            self._ended.set_result(None)

    def _take(self, frame: Frame) -> None:
        if self._kind is None:
            self._kind = frame.opcode
        self._fragments += frame.data
        if frame.fin:
            kind, data = self._kind, bytes(self._fragments)
            self._kind, self._fragments = None, bytearray()
            if kind is Opcode.TEXT:
                self._take_text(data)
            elif self._receiver is not None:
                self._receiver.received(data)

    def _take_text(self, data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            self._fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
            return
        if self._receiver is not None:
            self._receiver.received(text)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._frames.clear()
        self._is_between_frames = False
        self._protocol.fail(code, reason)
        self._write()

    # Pings

    def _ping(self) -> None:
        self._was_held_back = not self._wants_more
        self._ping_data = os.urandom(4)
        self._protocol.send_ping(self._ping_data)
        self._write()
        self._set_timer(self._limits.ping_timeout_s, self._miss_pong)

    def _take_pong(self, data: bytes) -> None:
        if data and data == self._ping_data and not self._is_closing:
            self._ping_data = b""
            self._set_timer(self._limits.ping_interval_s, self._ping)

    def _miss_pong(self) -> None:
        """Close, unless the pong may stand behind what was not read for a while."""
        if self._was_held_back:
            self._ping()
        else:
            self._fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")

    # The transport

    @property
    def _is_opening(self) -> bool:
        protocol = self._protocol
        return protocol.state is State.CONNECTING and not protocol.eof_sent and not self._is_lost

    @property
    def _flows(self) -> bool:
        return self._wants_more and self.is_writable

    def _regulate(self) -> None:
        """Read from the transport or not, as things are now."""
        if not self._is_made or self._is_lost or self._transport.is_closing():
            return
        judged = not self._request.done() or self._receiver is not None or self._is_closing
        if self._flows and judged:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _write(self) -> None:
        """Send what the protocol has to send; a peer that should close then has little time."""
        if not self._is_made:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                with contextlib.suppress(OSError, RuntimeError):  # it may have gone already
                    self._transport.write_eof()
        self.is_open = self._protocol.state is State.OPEN
        if not self._is_closing and self._protocol.close_expected():
            self._is_closing = True
            self._set_timer(_CLOSE_TIMEOUT_S, self._transport.abort)

    def _set_timer(self, seconds: float, action: Callable[[], None]) -> None:
        """Wait for the one thing that this connection waits for: its request, a pong, its end."""
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, action)


def _lone_text(data: bytes) -> bytes | None:
    """Return the text in bytes that are one whole, final and masked text frame; None for others.

    Frames of more than 64 KiB are among the others, and so are all that break a rule.
    """
    if len(data) < 6 or data[0] != _FINAL_TEXT:
        return None
    size, begin = data[1] - _MASKED, 6
    if size == _SIZE_IN_2_BYTES:
        size, begin = data[2] << 8 | data[3], 8
    elif size > _SHORT:
        return None
    if begin + size != len(data):
        return None
    return apply_mask(data[begin:], data[begin - 4 : begin])


def _text_frame(text: bytes) -> bytes:
    """Return the frame of a server's text."""
    size = len(text)
    if size <= _SHORT:
        return bytes((_FINAL_TEXT, size)) + text
    if size <= _MOST_IN_2_BYTES:
        return bytes((_FINAL_TEXT, _SIZE_IN_2_BYTES, size >> 8, size & 0xFF)) + text
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def _wire_size(frame: Frame) -> int:
    """Return how many bytes a frame of a client takes on the wire, written as short as can be."""
    size = len(frame.data)
    more = 0 if size <= _SHORT else 2 if size <= _MOST_IN_2_BYTES else 8
    return 2 + more + 4 + size
