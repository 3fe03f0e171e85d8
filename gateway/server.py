"""The gateway's port: WebSockets of charge points, and `/healthz`."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from gateway.charge_point_socket import ChargePointSocket, SocketLimits
from gateway.config import Config
from gateway.connections import Connection, Connections, Opened
from gateway.dispatcher import Dispatcher
from gateway.handshake import Admitted, Handshakes
from gateway.journal import Journal, Tape
from gateway.link import GatewayLink
from gateway.outcomes import Outcomes
from gateway.websocket import WebSocket, WebSocketLimits
from servicekit.clock import Clock

log = structlog.get_logger()

_BACKLOG = 4096
"""Connections that may wait to be accepted: a whole fleet comes back in one moment."""
_GOING_AWAY = 1001
_LAST_ANSWERS_S = 3.0
"""How long a stop waits; a socket that does not close is cut sooner (`gateway/websocket.py`)."""


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
        self._websocket_limits = WebSocketLimits(
            config.max_frame_bytes, config.ping_interval_s, config.ping_timeout_s
        )
        self._serving: dict[asyncio.Task[None], WebSocket] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve for the length of the block, then let every socket go with code 1001."""
        host, _, port = self._config.listen.rpartition(":")
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self._accept, host.strip("[]"), int(port), backlog=_BACKLOG
        )
        log.info("gateway_started", address=self._config.listen)
        try:
            yield
        finally:
            server.close()
            for websocket in self._serving.values():
                websocket.close(_GOING_AWAY, "gateway stops")
            await self._settle()
            log.info("gateway_stopped")

    async def _settle(self) -> None:
        """Wait until what was received is answered by the services, as long as a stop may take."""
        if self._serving:
            _, left = await asyncio.wait(self._serving, timeout=_LAST_ANSWERS_S)
            if left:  # nobody was told that it is stored: the charge points send it again
                log.warning("calls_not_answered", connections=len(left))
                for task in left:
                    task.cancel()
                await asyncio.wait(left)

    def _accept(self) -> WebSocket:
        """Begin with a connection; what it needs for as long as it lives is one task."""
        websocket = WebSocket(self._websocket_limits)
        task = asyncio.create_task(self._serve(websocket))
        self._serving[task] = websocket
        task.add_done_callback(self._serving.pop)
        return websocket

    async def _serve(self, websocket: WebSocket) -> None:
        request = await websocket.request()
        if request is not None:
            verdict = await self._handshakes.judge(request, websocket.remote_address)
            if not isinstance(verdict, Admitted):
                websocket.refuse(verdict)
            elif websocket.accept(verdict.subprotocol):
                await self._serve_admitted(websocket, self._opened(verdict))
        await websocket.wait_ended()

    async def _serve_admitted(self, websocket: WebSocket, opened: Opened) -> None:
        with self._journal.tape(opened.charge_point_id) as tape:
            socket = self._socket(websocket, opened, tape)
            await self._serve_attached(Connection(opened, socket), socket)
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

    def _socket(self, websocket: WebSocket, opened: Opened, tape: Tape) -> ChargePointSocket:
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

    def _opened(self, admitted: Admitted) -> Opened:
        return Opened(
            charge_point_id=admitted.charge_point_id,
            connection_id=str(uuid.uuid4()),
            remote_address=admitted.remote_address,
            subprotocol=admitted.subprotocol,
            open_time=self._clock.now(),
        )
