"""What a charge point may send wrong, and what it hears."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.integration.gateway.harness import (
    Installation,
    answer,
    ask,
    authorize,
    frame,
    installed,
)
from tests.support.waiting import until

Logs = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[Logs]:
    """Whatever a charge point sends: no error and no stack trace in any log."""
    with capture_logs() as entries:
        yield entries
    assert [entry for entry in entries if entry["log_level"] in {"error", "critical"}] == []
    assert [entry for entry in entries if "exc_info" in entry] == []
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.fixture
async def gateway() -> AsyncIterator[Installation]:
    async with installed() as installation:
        yield installation


@pytest.fixture
async def socket(gateway: Installation) -> ClientConnection:
    return await gateway.charge_point()


async def lives(socket: ClientConnection) -> bool:
    return bool((await ask(socket, authorize("alive")))[0:2] == [3, "alive"])


async def kept(gateway: Installation, raw: str) -> None:
    await until(lambda: raw in [call.raw_frame for call in gateway.session.of("unreadable_frame")])


@pytest.mark.parametrize(
    "raw",
    ["", "not JSON", "{}", '"text"', "7", "[]", "[2]", "[5,{},[]]", '[9,"a","b",{}]', "[" * 5000],
)
async def test_frame_without_a_sender_is_kept_and_not_answered(
    gateway: Installation, socket: ClientConnection, raw: str
) -> None:
    await socket.send(raw)
    assert await lives(socket)
    if raw:
        await kept(gateway, raw)


@pytest.mark.parametrize("raw", ['[2,"1","Authorize",{"idTag":"A"', '[2,"1"]', '[2,"1",7,{}]'])
async def test_broken_call_is_refused_and_kept(
    gateway: Installation, socket: ClientConnection, raw: str
) -> None:
    assert (await ask(socket, raw))[:3] == [4, "1", "FormationViolation"]
    await kept(gateway, raw)
    assert await lives(socket)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (frame("1", "MakeCoffee"), "NotImplemented"),
        (frame("1", "Heartbeat " + "x" * 5000), "NotImplemented"),
        (frame("1", "Reset", {"type": "Soft"}), "NotSupported"),
        (frame("1", "SignCertificate"), "OccurenceConstraintViolation"),
        (json.dumps([2, "1", "Authorize", 7]), "FormationViolation"),
        (frame("1", "Authorize", {"idTag": {"a": "b"}}), "TypeConstraintViolation"),
    ],
)
async def test_call_that_cannot_be_served_is_kept_then_refused(
    gateway: Installation, socket: ClientConnection, text: str, code: str
) -> None:
    assert (await ask(socket, text))[:3] == [4, "1", code]
    assert [call.raw_frame for call in gateway.session.of("unreadable_frame")] == [text]
    assert await lives(socket)


async def test_refusal_that_cannot_be_kept_asks_for_the_frame_again() -> None:
    async with installed(call_timeout_s=0.3) as gateway:
        socket = await gateway.charge_point()
        await gateway.session.kill()
        refused = await ask(socket, frame("1", "MakeCoffee"))
        assert refused[:3] == [4, "1", "InternalError"]


@pytest.mark.parametrize("code", [3, 4])
async def test_answer_that_nobody_waits_for_is_ignored(socket: ClientConnection, code: int) -> None:
    await socket.send(json.dumps([code, "nobody", "x", "y", {}]))
    assert await lives(socket)


async def test_frame_that_is_too_large_ends_its_socket_only(
    gateway: Installation, socket: ClientConnection
) -> None:
    other = await gateway.charge_point("/ocpp/CP-2")
    await socket.send(authorize("1", "x" * 2_000_000))
    with pytest.raises(ConnectionClosed) as closed:
        await answer(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert await lives(other)


async def test_text_in_a_binary_frame_is_understood(socket: ClientConnection) -> None:
    assert (await ask(socket, authorize("1").encode()))[:2] == [3, "1"]


async def test_binary_frame_without_text_is_ignored(socket: ClientConnection) -> None:
    await socket.send(b"\xff\xfe\x00")
    assert await lives(socket)


async def test_invalid_utf_8_ends_its_socket_only(
    gateway: Installation, socket: ClientConnection
) -> None:
    other = await gateway.charge_point("/ocpp/CP-2")
    await socket.send(b'[2,"\xff","Heartbeat",{}]', text=True)
    with pytest.raises(ConnectionClosed) as closed:
        await answer(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007
    assert await lives(other)


@pytest.mark.parametrize(
    "message_id", ["", "x" * 5000, 'quote " backslash \\', "🔌", "\n\0", "a" * 36]
)
async def test_odd_message_id_comes_back_as_it_was(
    socket: ClientConnection, message_id: str
) -> None:
    assert (await ask(socket, authorize(message_id)))[:2] == [3, message_id]


async def test_repeated_message_id_is_answered_each_time(socket: ClientConnection) -> None:
    for _ in range(3):
        assert await lives(socket)


async def test_fields_that_need_repair_are_forwarded_with_their_text(
    gateway: Installation, socket: ClientConnection
) -> None:
    raw = '[2,"1","Authorize",{"idTag":4711}]'
    assert (await ask(socket, raw))[:2] == [3, "1"]
    (call,) = gateway.auth.of("authorize")
    assert call.request.authorize.id_tag == "4711"
    assert (call.raw_frame, len(call.repairs)) == (raw, 1)


async def test_flood_is_answered_in_order_and_delays_nobody_else() -> None:
    async with installed(max_frames_per_second=1_000_000) as gateway:
        flooder, other = await gateway.charge_point(), await gateway.charge_point("/ocpp/CP-2")
        ids = [str(number) for number in range(10_000)]

        async def send() -> None:
            for message_id in ids:
                await flooder.send(authorize(message_id))

        sending = asyncio.create_task(send())
        await until(lambda: len(gateway.auth.of("authorize")) > 100)
        assert (await ask(other, frame("h", "Heartbeat")))[:2] == [3, "h"]
        assert len(gateway.auth.of("authorize")) < 10_000, "the flood was over before"
        assert [(await answer(flooder))[:2] for _ in ids] == [[3, item] for item in ids]
        await sending


async def test_flood_waits_in_the_charge_point_and_not_in_the_gateway() -> None:
    async with installed(max_frames_per_second=1_000_000) as gateway:
        released = gateway.auth.hold("authorize")
        flooder, other = await gateway.charge_point(), await gateway.charge_point("/ocpp/CP-2")
        ids = [f"{number}{'x' * 20_000}" for number in range(2000)]  # more than sockets buffer

        async def send() -> None:
            for message_id in ids:
                await flooder.send(authorize(message_id))

        sending = asyncio.create_task(send())
        await until(lambda: len(gateway.auth.of("authorize")) == 1)
        for number in range(20):
            assert (await ask(other, frame(str(number), "Heartbeat")))[0] == 3
        assert not sending.done()
        released.set()
        answers = [(await answer(flooder))[:2] for _ in ids]
        assert answers == [[3, item] for item in ids]
        await sending
