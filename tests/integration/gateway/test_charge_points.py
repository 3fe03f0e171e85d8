"""Handshakes, the life of a socket, and services that are away."""

import asyncio
import json
import os
import signal
import socket as sockets
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from csms.ocpp.v16 import core_pb2
from gateway import server
from servicekit.calls.server import CallContext
from tests.integration.gateway.harness import (
    Installation,
    answer,
    ask,
    authorize,
    authorized,
    frame,
    installed,
)
from tests.support.services import free_address
from tests.support.waiting import until

METER_VALUES = {
    "connectorId": 1,
    "meterValue": [{"timestamp": "2026-01-02T03:04:05Z", "sampledValue": [{"value": "1"}]}],
}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


@pytest.fixture
async def gateway() -> AsyncIterator[Installation]:
    async with installed() as installation:
        yield installation


async def status_of(gateway: Installation, path: str, protocols: tuple[str, ...]) -> int:
    with pytest.raises(InvalidStatus) as refused:
        await gateway.charge_point(path, protocols)
    return refused.value.response.status_code


@pytest.mark.parametrize(
    ("path", "protocols", "status"),
    [
        ("/ocpp/NOBODY", ("ocpp1.6",), 404),
        ("/ocpp/CP-1", (), 400),
        ("/ocpp/CP-1", ("ocpp2.0.1", "chat"), 400),
        ("/ocpp/", ("ocpp1.6",), 404),
        ("/", ("ocpp1.6",), 404),
        ("/ocpp/CP-1/more", ("ocpp1.6",), 404),
        ("/other/CP-1", ("ocpp1.6",), 404),
        ("/ocpp/" + "x" * 300, ("ocpp1.6",), 400),
        ("/ocpp/%00", ("ocpp1.6",), 400),
        ("/ocpp/CP%2F1", ("ocpp1.6",), 400),
        ("/ocpp/%F0%9F%94%8C", ("ocpp1.6",), 400),
        ("/ocpp/..", ("ocpp1.6",), 404),
    ],
)
async def test_handshake_is_refused_and_kept(
    gateway: Installation, path: str, protocols: tuple[str, ...], status: int
) -> None:
    assert await status_of(gateway, path, protocols) == status
    await until(lambda: len(gateway.admission.asked) == 1)
    assert await ask(await gateway.charge_point(), authorize("1"))


async def test_ocpp_1_6_is_chosen_among_others(gateway: Installation) -> None:
    socket = await gateway.charge_point(protocols=("ocpp2.0.1", "ocpp1.6"))
    assert socket.subprotocol == "ocpp1.6"


@pytest.mark.parametrize("path", ["//ocpp//CP-1/", "/ocpp/CP%2D1", "/ocpp/CP-1?token=x"])
async def test_careless_path_is_understood(gateway: Installation, path: str) -> None:
    await gateway.charge_point(path)
    assert await gateway.link.attached()


async def test_odd_identity_is_carried_as_it_is(gateway: Installation) -> None:
    identity = "a:b;c@d e+f~!$&'()*,="
    gateway.admission.known.add(identity)
    socket = await gateway.charge_point("/ocpp/a:b;c@d%20e+f~!$&'()*,=")
    await ask(socket, authorize("1"))
    assert [call.charge_point_id for call in gateway.auth.of("authorize")] == [identity]


@pytest.mark.parametrize(
    "lines",
    [
        b"GET /ocpp/\xff\xfe HTTP/1.1\r\n",
        b"GET /ocpp/CP-1 HTTP/1.1\r\nX-Forwarded-For: \xff\xfe\r\n",
        b"GET /ocpp/CP-1 HTTP/1.1\r\nSec-WebSocket-Protocol: \xff\xfe\r\n",
        b"POST /ocpp/CP-1 HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_odd_bytes_in_a_handshake_do_no_harm(gateway: Installation, lines: bytes) -> None:
    host, _, port = gateway.address.rpartition(":")
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            lines + b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        head = await asyncio.wait_for(reader.read(200), 10)
        writer.close()
        assert b" 500 " not in head
        assert await ask(await gateway.charge_point(), authorize("1"))
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


async def test_full_gateway_refuses(gateway: Installation) -> None:
    async with installed(max_connections=1) as small:
        await small.charge_point()
        assert await status_of(small, "/ocpp/CP-2", ("ocpp1.6",)) == 503


async def test_fleet_is_admitted_without_asking_again(gateway: Installation) -> None:
    for _ in range(3):
        await gateway.charge_point()
    assert len(gateway.admission.asked) == 1


async def test_health_names_the_part_that_is_away(gateway: Installation) -> None:
    host, _, port = gateway.address.rpartition(":")

    async def get() -> tuple[bytes, dict[str, Any]]:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
        writer.close()
        return head.split(b"\r\n")[0], json.loads(body)

    assert (await get())[0] == b"HTTP/1.1 200 OK"
    await gateway.session.kill()
    line, report = await get()
    assert line == b"HTTP/1.1 503 Service Unavailable"
    assert report["parts"]["session_service"] == "UNREACHABLE"
    assert report["parts"]["auth_service"] == "SERVING"


async def test_frame_before_a_close_is_processed(gateway: Installation) -> None:
    socket = await gateway.charge_point()
    for number in range(10):
        await socket.send(authorize(str(number), f"T{number}"))
    await socket.close()
    await until(lambda: len(gateway.auth.of("authorize")) == 10)


async def test_frame_before_a_dropped_line_is_processed(gateway: Installation) -> None:
    socket = await gateway.charge_point()
    await ask(socket, authorize("0"))
    raw, released = socket.transport.get_extra_info("socket"), gateway.auth.hold("authorize")
    await socket.send(authorize("1", "LAST"))
    raw.shutdown(sockets.SHUT_RDWR)
    await until(lambda: len(gateway.auth.of("authorize")) == 2)
    released.set()
    await until(lambda: len(gateway.link.of("detached")) == 1)
    assert gateway.link.of("detached")[0].close_code == 1006


async def test_calls_without_waiting_are_answered_in_order(gateway: Installation) -> None:
    """Also when calls that the gateway answers itself stand between slow ones."""
    socket = await gateway.charge_point()
    ids = [str(number) for number in range(16)]
    for item in ids:
        await socket.send(authorize(item) if int(item) % 3 else frame(item, "Heartbeat"))
    assert [(await answer(socket))[1] for _ in ids] == ids


async def test_slow_call_delays_nobody_else(gateway: Installation) -> None:
    released = asyncio.Event()

    async def slow_for_one(context: CallContext, request: core_pb2.AuthorizeRequest) -> Any:
        if context.charge_point_id == "CP-1":
            await released.wait()
        return await authorized(context, request)

    gateway.auth.handlers["authorize"] = slow_for_one
    slow, quick = await gateway.charge_point(), await gateway.charge_point("/ocpp/CP-2")
    await slow.send(authorize("slow"))
    await until(lambda: len(gateway.auth.of("authorize")) == 1)
    assert (await ask(quick, authorize("quick")))[1] == "quick"
    released.set()
    assert (await answer(slow))[1] == "slow"


async def test_each_action_has_its_answer_while_services_are_away() -> None:
    async with installed(call_timeout_s=0.4) as gateway:
        socket = await gateway.charge_point()
        await asyncio.gather(gateway.auth.kill(), gateway.session.kill(), gateway.device.kill())
        boot = await ask(
            socket,
            frame("b", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}),
        )
        assert (boot[2]["status"], 10 <= boot[2]["interval"] <= 30) == ("Rejected", True)
        assert (await ask(socket, authorize("a")))[2] == {"idTagInfo": {"status": "Invalid"}}
        for action, payload in (("MeterValues", METER_VALUES), ("StatusNotification", STATUS)):
            assert (await ask(socket, frame("m", action, payload)))[:3] == [
                4,
                "m",
                "InternalError",
            ]
        assert (await ask(socket, frame("h", "Heartbeat")))[0] == 3


async def test_call_during_a_restart_is_only_late(gateway: Installation) -> None:
    socket = await gateway.charge_point()
    await gateway.session.kill()
    await socket.send(frame("m", "MeterValues", METER_VALUES))
    await gateway.session.start()
    assert await answer(socket) == [3, "m", {}]


async def test_meter_values_like_earlier_ones_arrive_as_they_were_said(
    gateway: Installation,
) -> None:
    socket = await gateway.charge_point()
    values = ["1", "2.50", ""]
    for value in values:
        text = frame(f"said {value}", "MeterValues", METER_VALUES).replace('"1"', f'"{value}"')
        assert await ask(socket, text) == [3, f"said {value}", {}]
    for call, value in zip(gateway.session.calls, values, strict=True):
        (meter_value,) = call.request.meter_values.meter_value
        assert (call.charge_point_id, call.message_id) == ("CP-1", f"said {value}")
        assert call.expire_time.seconds > call.receive_time.seconds > 0
        assert call.request.meter_values.connector_id == 1
        assert [sample.value for sample in meter_value.sampled_value] == [value]
        assert meter_value.timestamp.ToJsonString() == "2026-01-02T03:04:05Z"


async def test_connection_is_told(gateway: Installation) -> None:
    socket = await gateway.charge_point()
    connection_id = await gateway.link.attached()
    attached = gateway.link.of("attached")[0]
    assert (attached.charge_point_id, attached.subprotocol) == ("CP-1", "ocpp1.6")
    assert attached.remote_address.startswith("127.0.0.1:")
    await socket.close(1000, "good night")
    await until(lambda: len(gateway.link.of("detached")) == 1)
    detached = gateway.link.of("detached")[0]
    assert detached.connection_id == connection_id
    assert (detached.close_code, detached.reason) == (1000, "good night")


async def test_charge_point_that_was_heard_is_in_the_next_heartbeat(gateway: Installation) -> None:
    await ask(await gateway.charge_point(), frame("h", "Heartbeat"))

    def seen() -> list[str]:
        beats = gateway.link.of("heartbeat")
        return [item.charge_point_id for beat in beats for item in beat.charge_points_seen]

    await until(lambda: seen() == ["CP-1"])


async def test_stop_does_not_wait_for_ever_for_what_no_service_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "_LAST_ANSWERS_S", 0.2)

    async def never(_: CallContext, __: core_pb2.AuthorizeRequest) -> Any:
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with asyncio.timeout(15), installed() as gateway:
            gateway.auth.handlers["authorize"] = never
            one, many = await gateway.charge_point(), await gateway.charge_point("/ocpp/CP-2")
            await one.send(authorize("1"))
            for number in range(100):  # so many that some are not read
                await many.send(authorize(str(number)))
            await until(lambda: len(gateway.auth.of("authorize")) == 2)
            many.transport.abort()
    [left] = [entry for entry in logs if entry["event"] == "calls_not_answered"]
    assert left["connections"] == 2


class Graces:
    """The timers that close superseded sockets, which run out when the test says so."""

    length_s = 3600.0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_later = loop.call_later
        self._timers: list[asyncio.TimerHandle] = []

    def call_later(self, delay: float, *call: Any, **options: Any) -> asyncio.TimerHandle:
        timer = self._call_later(delay, *call, **options)
        if delay == self.length_s:
            self._timers.append(timer)
        return timer

    def end(self) -> None:
        for timer in self._timers:
            if not timer.cancelled():
                timer._run()


@pytest.fixture
async def graces(monkeypatch: pytest.MonkeyPatch) -> Graces:
    loop = asyncio.get_running_loop()
    graces = Graces(loop)
    monkeypatch.setattr(loop, "call_later", graces.call_later)
    return graces


async def test_superseded_socket_is_served(gateway: Installation) -> None:
    older = await gateway.charge_point()
    newer = await gateway.charge_point()
    assert (await ask(older, authorize("1")))[0] == 3
    assert (await ask(newer, authorize("2")))[0] == 3


async def test_superseded_socket_ends_by_itself(graces: Graces) -> None:
    async with installed(superseded_grace_s=graces.length_s) as gateway:
        older = await gateway.charge_point()
        newer = await gateway.charge_point()
        graces.end()
        with pytest.raises(ConnectionClosed) as closed:
            await answer(older)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "superseded")
        assert (await ask(newer, authorize("2")))[0] == 3


async def test_superseded_socket_that_counts_again_stays(graces: Graces) -> None:
    async with installed(superseded_grace_s=graces.length_s) as gateway:
        older, other = await gateway.charge_point(), await gateway.charge_point("/ocpp/CP-2")
        await (await gateway.charge_point()).close()
        await gateway.link.attached(count=3)  # the older one again
        await gateway.charge_point("/ocpp/CP-2")
        graces.end()
        assert await closed_with(other) == 1000
        assert (await ask(older, authorize("1")))[0] == 3


async def closed_with(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        await answer(socket)
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_sigterm_lets_every_socket_go(gateway: Installation) -> None:
    settings = {
        "CSMS_LISTEN": free_address(),
        "CSMS_AUTH_ADDRESS": gateway.auth.address,
        "CSMS_SESSION_ADDRESS": gateway.session.address,
        "CSMS_DEVICE_ADDRESS": gateway.device.address,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=os.environ | settings, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    while b"gateway_started" not in await asyncio.wait_for(process.stdout.readline(), 30):
        pass
    gateway.address = settings["CSMS_LISTEN"]
    both = [await gateway.charge_point(), await gateway.charge_point("/ocpp/CP-2")]
    await asyncio.gather(*(ask(socket, authorize("1")) for socket in both))
    process.send_signal(signal.SIGTERM)
    assert [await closed_with(socket) for socket in both] == [1001, 1001]
    log, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert b"gateway_stopped" in log
    assert b"Traceback" not in log
    await until(lambda: len(gateway.link.of("detached")) == 2)
