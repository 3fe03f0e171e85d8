"""The opening handshake of a charge point, and what else the port answers over HTTP."""

import http
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from csms.gateway.v1 import admission_pb2
from gateway.admission import Admission, AdmissionUnavailable, Handshake, offered
from gateway.connections import Connections
from gateway.health import Health
from gateway.identity import MalformedIdentity, charge_point_id

log = structlog.get_logger()

HEALTH_PATH = "/healthz"
_REMOTE_ADDRESS = "X-Remote-Address"  # Envoy overwrites whatever a peer sends under this name
_RETRY_AFTER_S = "10"

_STATUS = {
    admission_pb2.VERDICT_UNKNOWN_CHARGE_POINT: (
        http.HTTPStatus.NOT_FOUND,
        "This charge point is not registered.",
    ),
    admission_pb2.VERDICT_SUBPROTOCOL_MISSING: (
        http.HTTPStatus.BAD_REQUEST,
        "Offer the subprotocol ocpp1.6 (Sec-WebSocket-Protocol).",
    ),
}
_FULL = (http.HTTPStatus.SERVICE_UNAVAILABLE, "This gateway is full; try again.")
_REFUSED_BY_GATEWAY = (http.HTTPStatus.BAD_REQUEST, "This identity is not allowed.")


@dataclass(frozen=True)
class _Admitted:
    charge_point_id: str
    subprotocol: str


class Handshakes:
    """Decides on handshakes before any WebSocket exists.

    Args:
        admission: Who may connect.
        connections: Whether there is room.
        health: What `/healthz` answers.
    """

    def __init__(self, admission: Admission, connections: Connections, health: Health) -> None:
        self._admission, self._connections, self._health = admission, connections, health
        self._admitted: WeakKeyDictionary[ServerConnection, _Admitted] = WeakKeyDictionary()

    async def process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Return the HTTP response that ends the handshake; None lets it go on."""
        if request.path.partition("?")[0] == HEALTH_PATH:
            return await self._health_response()
        try:
            identity = charge_point_id(request.path)
        except MalformedIdentity as error:
            return self._malformed(connection, request, str(error))
        handshake = _handshake(identity, connection, request)
        if self._connections.full:
            return _refuse(handshake, *_FULL)
        return await self._judge(connection, handshake)

    def select_subprotocol(
        self, connection: ServerConnection, _: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """Confirm what the admission decided; nothing for a charge point that offered nothing."""
        confirmed = self._admitted[connection].subprotocol
        return Subprotocol(confirmed) if confirmed else None

    def identity_of(self, connection: ServerConnection) -> str:
        """Return the identity of a charge point that was admitted."""
        return self._admitted[connection].charge_point_id

    async def _judge(self, connection: ServerConnection, handshake: Handshake) -> Response | None:
        try:
            admitted = await self._admission.judge(handshake)
        except AdmissionUnavailable:
            return _refuse(
                handshake,
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                "The charge points' register cannot be reached; try again.",
            )
        if self._connections.full:  # others may have taken the room meanwhile
            return _refuse(handshake, *_FULL)
        if admitted.verdict == admission_pb2.VERDICT_ADMITTED:
            self._admitted[connection] = _Admitted(handshake.charge_point_id, admitted.subprotocol)
            return None
        return _refuse(handshake, *_STATUS.get(admitted.verdict, _REFUSED_BY_GATEWAY))

    def _malformed(self, connection: ServerConnection, request: Request, reason: str) -> Response:
        handshake = _handshake(request.path[:100], connection, request)
        self._admission.report_refusal(handshake, reason)
        missing = reason in ("identity_missing", "path_unknown")
        status = http.HTTPStatus.NOT_FOUND if missing else http.HTTPStatus.BAD_REQUEST
        return _refuse(
            handshake,
            status,
            f"Connect to /ocpp/{{charge point id}}: {reason.replace('_', ' ')}.",
        )

    async def _health_response(self) -> Response:
        ready, body = await self._health.report()
        status = http.HTTPStatus.OK if ready else http.HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, body, "application/json")


def remote_address(connection: ServerConnection, request: Request) -> str:
    """Return host:port of the charge point: what Envoy saw, or else the peer of the socket."""
    seen_by_envoy = request.headers.get_all(_REMOTE_ADDRESS)
    if seen_by_envoy:
        return seen_by_envoy[-1][:100]
    host, port = connection.remote_address[:2]
    return f"{host}:{port}"


def _handshake(identity: str, connection: ServerConnection, request: Request) -> Handshake:
    return Handshake(
        identity,
        remote_address(connection, request),
        offered(request.headers.get_all("Sec-WebSocket-Protocol")),
    )


def _refuse(handshake: Handshake, status: http.HTTPStatus, text: str) -> Response:
    log.warning(
        "handshake_refused",
        charge_point=handshake.charge_point_id,
        remote=handshake.remote_address,
        status=status.value,
        error=text,
    )
    return _response(status, f"{text}\n".encode(), "text/plain; charset=utf-8")


def _response(status: http.HTTPStatus, body: bytes, content_type: str) -> Response:
    headers = Headers(
        {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
    )
    if status is http.HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _RETRY_AFTER_S
    return Response(status.value, status.phrase, headers, body)
