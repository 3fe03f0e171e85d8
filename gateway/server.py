"""The gateway's port: WebSockets of charge points, and `/healthz`."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import structlog
from websockets.asyncio.server import ServerConnection, serve

from gateway.charge_point_socket import ChargePointSocket, SocketLimits
from gateway.config import Config
from gateway.connections import Connection, Connections
from gateway.dispatcher import Dispatcher
from gateway.handshake import Handshakes, remote_address
from gateway.presence import Opened, Presence
from servicekit.clock import Clock

log = structlog.get_logger()

_OPEN_TIMEOUT_S = 15
_CLOSE_TIMEOUT_S = 2
_MAX_QUEUED_FRAMES = 16
_GOING_AWAY = 1001


class ChargePointServer:
    """Accepts charge points and serves each on its own.

    Args:
        config: The gateway's settings.
        handshakes: Decides who may connect.
        connections: The sockets of this gateway.
        dispatcher: Answers calls.
        presence: Tells device_service who is connected.
        clock: The time of day.
    """

    def __init__(
        self,
        config: Config,
        *,
        handshakes: Handshakes,
        connections: Connections,
        dispatcher: Dispatcher,
        presence: Presence,
        clock: Clock,
    ) -> None:
        self._config, self._handshakes, self._connections = config, handshakes, connections
        self._dispatcher, self._presence, self._clock = dispatcher, presence, clock
        self._limits = SocketLimits(config.max_frames_per_second, config.superseded_grace_s)
        self._reports: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve for the length of the block, then let every socket go with code 1001."""
        host, _, port = self._config.listen.rpartition(":")
        server = await serve(
            self._serve,
            host.strip("[]"),
            int(port),
            process_request=self._handshakes.process_request,
            select_subprotocol=self._handshakes.select_subprotocol,
            compression=None,  # costs more memory for each charger than its frames are worth
            server_header="voltmesh",
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=self._config.ping_interval_s,
            ping_timeout=self._config.ping_timeout_s,
            max_size=self._config.max_frame_bytes,
            max_queue=_MAX_QUEUED_FRAMES,
            logger=_silent_logger(),
        )
        log.info("gateway_started", address=self._config.listen)
        try:
            yield
        finally:
            server.close(close_connections=True, code=_GOING_AWAY, reason="gateway stops")
            await server.wait_closed()
            await self._finish_reports()
            log.info("gateway_stopped")

    async def _serve(self, websocket: ServerConnection) -> None:
        opened = self._opened(websocket)
        socket = ChargePointSocket(
            websocket,
            opened,
            dispatcher=self._dispatcher,
            presence=self._presence,
            clock=self._clock,
            limits=self._limits,
        )
        connection = Connection(opened.charge_point_id, opened.connection_id, socket)
        identity = {"charge_point": opened.charge_point_id, "connection": opened.connection_id}
        self._connections.opened(connection)
        log.info("charge_point_connected", **identity, remote=opened.remote_address)
        told = self._report(self._presence.opened(opened))
        try:
            await socket.serve()
        finally:
            self._connections.closed(connection)
            log.info(
                "charge_point_disconnected",
                **identity,
                code=socket.close_code,
                reason=socket.close_reason,
            )
            self._report(self._tell_closed(told, opened, socket))

    def _opened(self, websocket: ServerConnection) -> Opened:
        assert websocket.request is not None
        return Opened(
            charge_point_id=self._handshakes.identity_of(websocket),
            connection_id=str(uuid.uuid4()),
            remote_address=remote_address(websocket, websocket.request),
            subprotocol=websocket.subprotocol or "",
            open_time=self._clock.now(),
        )

    async def _tell_closed(
        self, told: asyncio.Task[None], opened: Opened, socket: ChargePointSocket
    ) -> None:
        await asyncio.wait({told})
        await self._presence.closed(opened, socket.close_code, socket.close_reason)

    def _report(self, report: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(report)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)
        return task

    async def _finish_reports(self) -> None:
        """Give the last reports a moment; device_service finds out about the rest by itself."""
        if self._reports:
            await asyncio.wait(set(self._reports), timeout=1)


def _silent_logger() -> logging.Logger:
    """Return a logger that says nothing: the gateway logs each connection itself, in its words."""
    logger = logging.getLogger("gateway.websockets")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
