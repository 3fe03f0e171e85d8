"""A WebSocket over a transport of the test: what comes, what goes, and when it reads."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from gateway import websocket as module
from gateway.websocket import WebSocket, WebSocketLimits
from tests.support.waiting import until

REQUEST = (
    b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LIMITS = WebSocketLimits(max_message_bytes=200_000, ping_interval_s=60, ping_timeout_s=60)
SIZES = [0, 1, 125, 126, 127, 128, 133, 65_535, 65_536, 100_000]


class Transport(asyncio.Transport):
    """Keeps what is written; is read until paused."""

    def __init__(self) -> None:
        super().__init__()
        self.peer: tuple[str, int] | None = ("10.0.0.1", 4711)
        self.written = bytearray()
        self.reads = True
        self.ended = self.aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.peer if name == "peername" else default

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) != (None, None)

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Peer:
    """A charge point, and the receiver of what it sends."""

    def __init__(
        self,
        limits: WebSocketLimits = LIMITS,
        early: bytes = b"",
        request: Sequence[bytes] = (REQUEST,),
    ) -> None:
        self.messages: list[str | bytes] = []
        self.writable_calls = 0
        self.pauses_after: int | None = None
        self.transport, self.socket = Transport(), WebSocket(limits)
        self.socket.connection_made(self.transport)
        for piece in (*request[:-1], request[-1] + early):
            self.socket.data_received(piece)
        assert self.socket.accept("ocpp1.6")
        self.head, _, _ = bytes(self.transport.written).partition(b"\r\n\r\n")
        self.transport.written.clear()
        self.socket.begin(self)

    def received(self, message: str | bytes) -> None:
        self.messages.append(message)
        if len(self.messages) == self.pauses_after:
            self.socket.pause_reading()

    def writable(self) -> None:
        self.writable_calls += 1

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            self.socket.data_received(frame.serialize(mask=True))

    def frames(self) -> list[Frame]:
        """Return what was sent to the charge point, read by a client of the library."""
        client = ClientProtocol(parse_uri("ws://x/"), state=OPEN, max_size=None)
        client.receive_data(bytes(self.transport.written))
        return [event for event in client.events_received() if isinstance(event, Frame)]


def text(message: str) -> Frame:
    return Frame(Opcode.TEXT, message.encode())


def texts(frames: list[Frame]) -> list[str]:
    return [bytes(frame.data).decode() for frame in frames if frame.opcode is Opcode.TEXT]


def close_code(peer: Peer) -> int:
    return Close.parse(peer.frames()[-1].data).code


MESSAGES = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    st.sampled_from(SIZES).map(lambda size: "x" * size),
)


@st.composite
def wires(draw: st.DrawFn) -> tuple[list[str | bytes], list[bytes]]:
    """Draw messages, and the bytes of their frames in pieces; pings stand between the frames."""
    messages = draw(st.lists(MESSAGES, max_size=6))
    frames = [frame for message in messages for frame in draw(fragments(message))]
    wire = b"".join(frame.serialize(mask=True) for frame in frames)
    cuts = sorted(draw(st.lists(st.integers(0, min(len(wire), 300)), max_size=8)))
    ends = zip([0, *cuts], [*cuts, len(wire)], strict=True)
    if draw(st.booleans()):
        return messages, [frame.serialize(mask=True) for frame in frames]
    return messages, [wire[begin:end] for begin, end in ends if begin < end]


def fragments(message: str | bytes) -> st.SearchStrategy[list[Frame]]:
    data = message.encode() if isinstance(message, str) else message
    opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY

    def cut(at: int | None) -> list[Frame]:
        if at is None:
            return [Frame(opcode, data)]
        return [
            Frame(opcode, data[:at], fin=False),
            Frame(Opcode.PING, b"?"),
            Frame(Opcode.CONT, data[at:]),
        ]

    return st.none().map(cut) | st.integers(0, len(data)).map(cut)


@given(wires())
def test_messages_are_the_same_however_their_bytes_come(
    wire: tuple[list[str | bytes], list[bytes]],
) -> None:
    messages, pieces = wire

    async def receive() -> list[str | bytes]:
        peer = Peer()
        for piece in pieces:
            peer.socket.data_received(piece)
        return peer.messages

    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(receive()) == messages
    finally:
        loop.close()


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OPEN_TIMEOUT_S", 0.01)
    monkeypatch.setattr(module, "_CLOSE_TIMEOUT_S", 0.01)


async def test_texts_of_every_size_are_frames_that_a_client_reads() -> None:
    peer = Peer()
    for size in SIZES:
        peer.socket.send("ä" * (size // 2) + "x" * (size % 2))
    assert [len(item.encode()) for item in texts(peer.frames())] == SIZES


async def test_handshake_confirms_the_subprotocol() -> None:
    head = Peer().head
    assert b"Sec-WebSocket-Protocol: ocpp1.6" in head
    assert b"Server: voltmesh" in head
    assert b"Sec-WebSocket-Extensions" not in head


async def test_nothing_is_read_before_the_verdict_and_early_messages_come_after_it() -> None:
    socket, transport = WebSocket(LIMITS), Transport()
    socket.connection_made(transport)
    socket.data_received(REQUEST)
    assert not transport.reads
    early = text("early").serialize(mask=True)
    peer = Peer(early=early)
    assert peer.messages == ["early"]
    peer.send(text("later"))
    assert (peer.messages, peer.transport.reads) == (["early", "later"], True)


async def test_paused_reading_holds_messages_back_until_it_goes_on() -> None:
    peer = Peer()
    peer.pauses_after = 2
    wire = b"".join(text(str(number)).serialize(mask=True) for number in range(5))
    peer.socket.data_received(wire)
    assert (peer.messages, peer.transport.reads) == (["0", "1"], False)
    peer.socket.resume_reading()
    assert (peer.messages, peer.transport.reads) == (["0", "1", "2", "3", "4"], True)


async def test_messages_that_are_held_back_come_after_the_end_and_the_end_waits() -> None:
    peer = Peer()
    peer.pauses_after = 1
    peer.socket.data_received(b"".join(text(it).serialize(mask=True) for it in "ab"))
    peer.socket.connection_lost(None)
    ending = asyncio.create_task(peer.socket.wait_ended())
    await asyncio.sleep(0)
    assert not ending.done()
    peer.socket.resume_reading()
    await ending
    assert peer.messages == ["a", "b"]
    assert peer.socket.close_code == 1006


async def test_peer_that_does_not_read_is_not_read() -> None:
    peer = Peer()
    peer.socket.pause_writing()
    assert (peer.socket.is_writable, peer.transport.reads) == (False, False)
    peer.socket.resume_writing()
    assert (peer.writable_calls, peer.transport.reads) == (1, True)


async def test_close_of_the_peer_is_answered_and_nothing_counts_after_it() -> None:
    peer = Peer()
    peer.send(text("last"), Frame(Opcode.CLOSE, Close(1000, "bye").serialize()), text("no more"))
    assert peer.messages == ["last"]
    assert (close_code(peer), peer.transport.ended, peer.socket.is_open) == (1000, True, False)
    peer.socket.send("not sent")
    assert texts(peer.frames()) == []
    peer.socket.connection_lost(None)
    await peer.socket.wait_ended()
    assert (peer.socket.close_code, peer.socket.close_reason) == (1000, "bye")


@pytest.mark.parametrize("cut", [None, 1])
async def test_text_that_is_not_utf_8_closes_the_socket(cut: int | None) -> None:
    peer = Peer()
    data = "ä".encode()[:1] + b"x"
    if cut is None:
        peer.send(Frame(Opcode.TEXT, data))
    else:
        peer.send(Frame(Opcode.TEXT, data[:cut], fin=False), Frame(Opcode.CONT, data[cut:]))
    peer.send(text("no more"))
    assert (close_code(peer), peer.messages) == (1007, [])


async def test_message_of_many_fragments_is_bounded() -> None:
    peer = Peer()
    piece = b"x" * 60_000
    peer.send(Frame(Opcode.TEXT, piece, fin=False))
    peer.send(*(Frame(Opcode.CONT, piece, fin=False) for _ in range(3)))
    assert (close_code(peer), peer.messages) == (1009, [])


async def test_fragments_without_a_byte_take_no_memory() -> None:
    peer = Peer()
    peer.send(Frame(Opcode.TEXT, b"a", fin=False))
    empty = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
    for _ in range(100):
        peer.socket.data_received(empty * 10)
    assert sum(isinstance(item, Frame) for item in gc.get_objects()) < 100
    peer.send(Frame(Opcode.CONT, b"b"))
    assert peer.messages == ["ab"]


async def test_unmasked_frame_is_refused() -> None:
    peer = Peer()
    peer.socket.data_received(text("plain").serialize(mask=False))
    assert (close_code(peer), peer.messages) == (1002, [])


async def test_pings_go_on_as_long_as_each_has_its_pong() -> None:
    peer = Peer(WebSocketLimits(1000, ping_interval_s=0.01, ping_timeout_s=60))
    seen = list[bytes]()
    for _ in range(3):
        await until(lambda: len(peer.frames()) > len(seen))
        ping = peer.frames()[-1]
        assert ping.opcode is Opcode.PING
        seen.append(bytes(ping.data))
        peer.send(Frame(Opcode.PONG, b"of another ping"), Frame(Opcode.PONG, ping.data))
    assert len(set(seen)) == 3


async def test_missing_pong_closes_the_socket() -> None:
    peer = Peer(WebSocketLimits(1000, ping_interval_s=0.01, ping_timeout_s=0.05))
    await until(lambda: len(peer.frames()) == 1)
    peer.send(Frame(Opcode.PONG, b"of another ping"))
    await until(lambda: not peer.socket.is_open)
    assert close_code(peer) == 1011


async def test_pong_that_was_not_read_is_not_missing() -> None:
    """A peer that is held back may have sent it long ago."""
    peer = Peer(WebSocketLimits(1000, ping_interval_s=0.01, ping_timeout_s=0.05))
    peer.socket.pause_reading()
    await until(lambda: len(peer.frames()) == 3)
    assert {frame.opcode for frame in peer.frames()} == {Opcode.PING}
    peer.socket.resume_reading()
    await until(lambda: not peer.socket.is_open)
    assert close_code(peer) == 1011


async def test_peer_that_never_asks_is_dropped(short_times: None) -> None:
    socket, transport = WebSocket(LIMITS), Transport()
    socket.connection_made(transport)
    socket.data_received(REQUEST[:40])
    await until(lambda: transport.aborted)
    socket.connection_lost(None)
    assert await socket.request() is None
    assert not socket.accept("ocpp1.6")
    await socket.wait_ended()


async def test_peer_that_does_not_answer_a_close_is_dropped(short_times: None) -> None:
    peer = Peer()
    peer.socket.close(1001, "gateway stops")
    peer.send(text("crossed"))
    assert (close_code(peer), peer.messages) == (1001, ["crossed"])
    await until(lambda: peer.transport.aborted)


async def test_peer_that_has_gone_has_no_address() -> None:
    socket, transport = WebSocket(LIMITS), Transport()
    socket.connection_made(transport)
    assert socket.remote_address == "10.0.0.1:4711"
    transport.peer = None
    assert socket.remote_address == ""


async def test_close_before_the_verdict_refuses() -> None:
    socket, transport = WebSocket(LIMITS), Transport()
    socket.connection_made(transport)
    socket.data_received(REQUEST)
    socket.close(1001, "gateway stops")
    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert not socket.accept("ocpp1.6")


async def test_close_before_the_transport_is_there_refuses() -> None:
    socket, transport = WebSocket(LIMITS), Transport()
    socket.close(1001, "gateway stops")
    socket.connection_made(transport)
    socket.data_received(REQUEST)
    assert transport.written.startswith(b"HTTP/1.1 503 ")
    assert transport.ended
    socket.connection_lost(None)
    assert await socket.request() is None
    await socket.wait_ended()


def a_frame_in_a_frame() -> tuple[bytes, bytes]:
    """Return the head of a binary frame, and its payload, which looks like a frame of its own."""
    payload = text("inner").serialize(mask=True)
    return bytes((0x82, 0x80 | len(payload), 0, 0, 0, 0)), payload


@pytest.mark.parametrize("cut", [0, 1, 2, 6])
async def test_rest_of_a_frame_is_not_taken_for_a_frame(cut: int) -> None:
    peer = Peer()
    head, payload = a_frame_in_a_frame()
    for piece in (head[:cut], head[cut:], payload):
        peer.socket.data_received(piece)
    assert peer.messages == [payload]


async def test_frame_that_begins_before_the_verdict_is_read_to_its_end() -> None:
    head, payload = a_frame_in_a_frame()
    peer = Peer(early=head)
    peer.socket.data_received(payload)
    peer.send(text("later"))
    assert peer.messages == [payload, "later"]


async def test_end_of_the_request_that_comes_alone_spoils_no_frame() -> None:
    """The rest of the frame looks like a frame of its own: a text without a character."""
    rest = bytes((0x81, 0x80, 0, 0, 0, ord("A") ^ 0x80))
    peer = Peer(request=(REQUEST[:-1], REQUEST[-1:]))
    peer.socket.data_received(b"\x82")
    peer.socket.data_received(rest)
    assert peer.messages == [b"A"]
