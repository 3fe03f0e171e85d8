"""The gateway's port: WebSockets of charge points, and `/healthz`."""

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from websockets.asyncio.server import ServerConnection, serve

from gateway.charge_point_socket import ChargePointSocket, SocketLimits
from gateway.config import Config
from gateway.connections import Connection, Connections, Opened
from gateway.dispatcher import Dispatcher
from gateway.handshake import Handshakes, remote_address
from gateway.journal import Journal, Tape
from gateway.link import GatewayLink
from gateway.outcomes import Outcomes
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
        outcomes: Translates commands and their answers.
        link: Tells device_service who is connected.
        journal: Keeps the frames.
        clock: The time of day.
    """

    def __init__(
        self,
        config: Config,
        *,
        handshakes: Handshakes,
        connections: Connections,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        link: GatewayLink,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._config, self._handshakes, self._connections = config, handshakes, connections
        self._dispatcher, self._outcomes, self._clock = dispatcher, outcomes, clock
        self._link, self._journal = link, journal
        self._limits = SocketLimits(config.max_frames_per_second, config.superseded_grace_s)

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
            log.info("gateway_stopped")

    async def _serve(self, websocket: ServerConnection) -> None:
        opened = self._opened(websocket)
        with self._journal.tape(opened.charge_point_id) as tape:
            socket = self._socket(websocket, opened, tape)
            try:
                await self._serve_attached(Connection(opened, socket), socket)
            finally:
                await socket.settle()

    async def _serve_attached(self, connection: Connection, socket: ChargePointSocket) -> None:
        opened = connection.opened
        identity = {"charge_point": opened.charge_point_id, "connection": opened.connection_id}
        self._connections.opened(connection)
        log.info("charge_point_connected", **identity, remote=opened.remote_address)
        self._link.attached(opened)
        try:
            await socket.serve()
        finally:
            older = self._connections.closed(connection)
            code, reason = socket.close_code, socket.close_reason
            log.info("charge_point_disconnected", **identity, code=code, reason=reason)
            self._link.detached(opened, code, reason)
            if older is not None:
                self._link.attached(older.opened)

    def _socket(self, websocket: ServerConnection, opened: Opened, tape: Tape) -> ChargePointSocket:
        return ChargePointSocket(
            websocket,
            opened,
            dispatcher=self._dispatcher,
            outcomes=self._outcomes,
            connections=self._connections,
            tape=tape,
            clock=self._clock,
            limits=self._limits,
        )

    def _opened(self, websocket: ServerConnection) -> Opened:
        assert websocket.request is not None
        return Opened(
            charge_point_id=self._handshakes.identity_of(websocket),
            connection_id=str(uuid.uuid4()),
            remote_address=remote_address(websocket, websocket.request),
            subprotocol=websocket.subprotocol or "",
            open_time=self._clock.now(),
        )


def _silent_logger() -> logging.Logger:
    """Return a logger that says nothing: the gateway logs each connection itself, in its words."""
    logger = logging.getLogger("gateway.websockets")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
