"""A running gateway before services whose handlers are the tests'."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from csms.ocpp.v16 import core_pb2, types_pb2
from gateway.config import Config
from gateway.wiring import running
from servicekit.calls.server import CallContext
from servicekit.telemetry import Tracing
from tests.fakes.admission import FakeAdmission
from tests.fakes.gateway_link import FakeGatewayLink
from tests.fakes.services import NO_TRACING, FakeService
from tests.support.services import free_address
from tests.support.waiting import until


async def stored(_: CallContext, __: Any) -> None:
    """Confirm a report of the gateway."""


async def authorized(_: CallContext, request: core_pb2.AuthorizeRequest) -> Any:
    """Accept a tag and repeat it as its parent."""
    info = types_pb2.IdTagInfo(
        status=types_pb2.AUTHORIZATION_STATUS_ACCEPTED, parent_id_tag=request.id_tag
    )
    return core_pb2.AuthorizeResponse(id_tag_info=info)


async def metered(_: CallContext, __: core_pb2.MeterValuesRequest) -> core_pb2.MeterValuesResponse:
    """Confirm meter values."""
    return core_pb2.MeterValuesResponse()


async def noted(_: CallContext, __: Any) -> core_pb2.StatusNotificationResponse:
    """Confirm a status."""
    return core_pb2.StatusNotificationResponse()


@dataclass
class Installation:
    """A gateway's surroundings, and charge points that connect to it."""

    address: str
    admission: FakeAdmission
    auth: FakeService
    session: FakeService
    device: FakeService
    link: FakeGatewayLink
    sockets: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def charge_point(
        self, path: str = "/ocpp/CP-1", protocols: tuple[str, ...] = ("ocpp1.6",)
    ) -> ClientConnection:
        """Connect; the socket is closed with the installation."""
        return await self.sockets.enter_async_context(
            connect(
                f"ws://{self.address}{path}",
                subprotocols=[Subprotocol(name) for name in protocols] or None,
                proxy=None,
                compression=None,
                max_size=None,
            )
        )


@asynccontextmanager
async def installed(
    tracing: Tracing = NO_TRACING,
    services: Tracing = NO_TRACING,
    other_devices: str = "",
    **settings: Any,
) -> AsyncIterator[Installation]:
    """Run a gateway and its services for the length of the block."""
    admission = FakeAdmission("CP-1", "CP-2")
    auth = FakeService(free_address(), {"authorize": authorized}, tracing=services)
    session = FakeService(
        free_address(), {"meter_values": metered, "unreadable_frame": stored}, tracing=services
    )
    link = FakeGatewayLink()
    device = FakeService(
        free_address(),
        {"status_notification": noted},
        admission.register,
        link.register,
        tracing=services,
    )
    config = Config(
        listen=free_address(),
        auth_address=auth.address,
        session_address=session.address,
        device_address=",".join(filter(None, (device.address, other_devices))),
        **settings,
    )
    installation = Installation(config.listen, admission, auth, session, device, link)
    parts = (auth, session, device)
    await asyncio.gather(*(service.start() for service in parts))
    try:
        async with running(config, tracing), installation.sockets:
            await until(lambda: bool(link.of("heartbeat")))
            yield installation
    finally:
        await asyncio.gather(*(service.kill() for service in parts))


def frame(message_id: str, action: str, payload: Mapping[str, Any] | None = None) -> str:
    """Return a CALL."""
    return json.dumps([2, message_id, action, payload or {}])


def authorize(message_id: str, tag: str = "CARD") -> str:
    """Return a CALL that auth_service answers."""
    return frame(message_id, "Authorize", {"idTag": tag})


async def answer(socket: ClientConnection) -> Any:
    """Return the next frame."""
    async with asyncio.timeout(15):
        return json.loads(await socket.recv())


async def ask(socket: ClientConnection, text: str | bytes) -> Any:
    """Send one frame and return the next that comes."""
    await socket.send(text)
    return await answer(socket)
