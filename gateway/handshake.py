"""The opening handshake of a charge point, and what else the port answers over HTTP."""

import http
from dataclasses import dataclass

import structlog
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

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
class Admitted:
    """A charge point that may connect; nothing is confirmed to one that offered no subprotocol."""

    charge_point_id: str
    remote_address: str
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

    async def judge(self, request: Request, peer: str) -> Admitted | Response:
        """Return who may connect, or the HTTP response that ends the handshake.

        Args:
            request: What was asked.
            peer: host:port of the other end of the socket.
        """
        if request.path.partition("?")[0] == HEALTH_PATH:
            return await self._health_response()
        try:
            identity = charge_point_id(request.path)
        except MalformedIdentity as error:
            return self._malformed(request, peer, str(error))
        handshake = _handshake(identity, request, peer)
        if self._connections.full:
            return _refuse(handshake, *_FULL)
        return await self._ask(handshake)

    async def _ask(self, handshake: Handshake) -> Admitted | Response:
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
            return Admitted(
                handshake.charge_point_id, handshake.remote_address, admitted.subprotocol
            )
        return _refuse(handshake, *_STATUS.get(admitted.verdict, _REFUSED_BY_GATEWAY))

    def _malformed(self, request: Request, peer: str, reason: str) -> Response:
        handshake = _handshake(request.path[:100], request, peer)
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


def _remote_address(request: Request, peer: str) -> str:
    """Return host:port of the charge point: what Envoy saw, or else the peer of the socket."""
    seen_by_envoy = request.headers.get_all(_REMOTE_ADDRESS)
    return seen_by_envoy[-1][:100] if seen_by_envoy else peer


def _handshake(identity: str, request: Request, peer: str) -> Handshake:
    return Handshake(
        identity,
        _remote_address(request, peer),
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
