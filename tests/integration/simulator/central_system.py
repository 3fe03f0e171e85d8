"""A small central system, spoken by the central system's side of the `ocpp` package."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import ocpp.v16
from ocpp.v16 import call_result
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

OCPP = Subprotocol("ocpp1.6")
Answers = dict[str, Callable[..., Any]]


class CentralSystem:
    """Answers what it is asked, and remembers it.

    Attributes:
        received: Each action with its payload, in order.
        answers: By action, what is called with the payload's members to answer.
        silent: Actions that are noted but never answered.
        away: While set, nobody can connect.
    """

    def __init__(self) -> None:
        self.url = ""
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.silent: set[str] = set()
        self.away = False
        self.connections = 0
        self.answers: Answers = {
            "BootNotification": lambda **_: boot("Accepted", 300),
            "Heartbeat": lambda **_: call_result.Heartbeat(current_time=now()),
            "StatusNotification": lambda **_: call_result.StatusNotification(),
            "Authorize": lambda **_: call_result.Authorize({"status": "Accepted"}),
            "StartTransaction": lambda **_: call_result.StartTransaction(
                41, {"status": "Accepted"}
            ),
            "MeterValues": lambda **_: call_result.MeterValues(),
            "StopTransaction": lambda **_: call_result.StopTransaction(),
            "DiagnosticsStatusNotification": lambda **_: (
                call_result.DiagnosticsStatusNotification()
            ),
            "FirmwareStatusNotification": lambda **_: call_result.FirmwareStatusNotification(),
            "LogStatusNotification": lambda **_: call_result.LogStatusNotification(),
            "SignedFirmwareStatusNotification": lambda **_: (
                call_result.SignedFirmwareStatusNotification()
            ),
            "SecurityEventNotification": lambda **_: call_result.SecurityEventNotification(),
            "SignCertificate": lambda **_: call_result.SignCertificate(status="Accepted"),
        }
        self._peer: Any = None
        self._socket: ServerConnection | None = None

    def payloads(self, action: str) -> list[dict[str, Any]]:
        """Return what came under an action."""
        return [payload for name, payload in self.received if name == action]

    def statuses(self, connector_id: int) -> list[str]:
        """Return the statuses that a connector reported."""
        came = self.payloads("StatusNotification")
        return [item["status"] for item in came if item["connector_id"] == connector_id]

    async def call(self, request: Any) -> Any:
        """Send a request to the charge point and return its answer."""
        return await self._peer.call(request, suppress=False)

    async def send_raw(self, text: str) -> None:
        """Send any text to the charge point."""
        assert self._socket is not None
        await self._socket.send(text)

    @property
    def headers(self) -> Any:
        """The headers of the last handshake."""
        assert self._socket is not None
        assert self._socket.request is not None
        return self._socket.request.headers

    async def hang_up(self) -> None:
        """Cut the connection."""
        assert self._socket is not None
        self._socket.transport.abort()
        await self._socket.wait_closed()

    async def converse(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        self.connections += 1
        self._socket = socket
        self._peer = ocpp.v16.ChargePoint("CP", socket, 5)
        self._peer.route_map = {
            action: {"_on_action": self._handler(action)} for action in self.answers
        }
        try:
            await self._peer.start()
        except ConnectionClosed:
            return

    def _handler(self, action: str) -> Callable[..., Any]:
        async def answer(**payload: Any) -> Any:
            self.received.append((action, payload))
            if action in self.silent:
                assert self._socket is not None
                await self._socket.wait_closed()
            return self.answers[action](**payload)

        return answer


def boot(status: str, interval: int) -> Any:
    """Return an answer to BootNotification."""
    return call_result.BootNotification(current_time=now(), interval=interval, status=status)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@asynccontextmanager
async def central_system() -> AsyncIterator[CentralSystem]:
    """Serve on a free port for the length of the block."""
    central = CentralSystem()
    async with serve(
        central.converse,
        "127.0.0.1",
        0,
        subprotocols=[OCPP],
        close_timeout=1,
        process_request=lambda socket, _: socket.respond(503, "") if central.away else None,
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        central.url = f"ws://127.0.0.1:{port}/ocpp"
        yield central
