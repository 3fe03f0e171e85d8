"""The servers that voltmesh is compared with; none of them stores anything.

python -m benchmarks.yardsticks NAME PORT
"""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import picows
import uvloop
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import AuthorizationStatus, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

LOOPBACK = "127.0.0.1"
BOOT_INTERVAL = timedelta(minutes=5)
_SUBPROTOCOLS = [Subprotocol("ocpp1.6")]
_transaction_ids = itertools.count(1)


class Echo(picows.WSListener):
    """Sends every frame back."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Send a frame back (picows)."""
        if frame.msg_type == picows.WSMsgType.TEXT:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


class CentralSystem(ChargePoint):
    """A central system made of the `ocpp` package, as its documentation shows it."""

    @on("BootNotification")
    async def boot(self, **_: Any) -> call_result.BootNotification:
        """Accept the charge point."""
        return call_result.BootNotification(
            _now(), int(BOOT_INTERVAL.total_seconds()), RegistrationStatus.accepted
        )

    @on("StartTransaction")
    async def start_transaction(self, **_: Any) -> call_result.StartTransaction:
        """Give out the next transaction id."""
        accepted = IdTagInfo(status=AuthorizationStatus.accepted)
        return call_result.StartTransaction(next(_transaction_ids), accepted)

    @on("Heartbeat")
    async def heartbeat(self, **_: Any) -> call_result.Heartbeat:
        """Tell the time."""
        return call_result.Heartbeat(_now())

    @on("MeterValues")
    async def meter_values(self, **_: Any) -> call_result.MeterValues:
        """Drop the values."""
        return call_result.MeterValues()


async def picows_echo(port: int) -> None:
    """Serve the cheapest echo that Python has: picows."""
    server = await picows.ws_create_server(lambda _: Echo(), LOOPBACK, port)
    await server.serve_forever()


async def websockets_echo(port: int) -> None:
    """Serve an echo with the `websockets` package."""

    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    await _serve(echo, port)


async def ocpp_package(port: int) -> None:
    """Serve the `ocpp` package's central system."""

    async def central_system(socket: ServerConnection) -> None:
        assert socket.request is not None
        await CentralSystem(socket.request.path.rpartition("/")[2], socket).start()

    await _serve(central_system, port)


async def _serve(handle: Callable[[ServerConnection], Awaitable[None]], port: int) -> None:
    async def until_closed(socket: ServerConnection) -> None:
        try:
            await handle(socket)
        except ConnectionClosed:
            return

    async with serve(
        until_closed, LOOPBACK, port, compression=None, subprotocols=_SUBPROTOCOLS
    ) as server:
        await server.serve_forever()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


SERVERS = {
    "picows-echo": picows_echo,
    "websockets-echo": websockets_echo,
    "ocpp-package": ocpp_package,
}
ON_UVLOOP = {"picows-echo", "websockets-echo"}
"""The `ocpp` package validates in threads; uvloop makes it slower, not faster."""


def main() -> None:
    """Serve one yardstick until killed."""
    name, port = sys.argv[1], int(sys.argv[2])
    run = uvloop.run if name in ON_UVLOOP else asyncio.run
    run(SERVERS[name](port))


if __name__ == "__main__":
    main()
