"""The other services that session_service asks."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta

import grpc
import structlog
from grpc_status import rpc_status

from csms.gateway.v1 import authorization_pb2, authorization_pb2_grpc
from csms.v1 import charge_point_service_pb2 as charge_point_pb
from csms.v1 import charge_point_service_pb2_grpc as charge_point_pb_grpc
from csms.v1 import command_service_pb2 as command_pb
from csms.v1 import command_service_pb2_grpc as command_pb_grpc
from servicekit.errors import PlatformError, ServiceUnavailable
from servicekit.status import from_status
from servicekit.telemetry import Tracing
from session_service.convert import ocpp as convert
from session_service.convert import remote as convert_remote
from session_service.convert.api import REQUESTER
from session_service.domain.facts import TagCheck
from session_service.domain.remote import Order, RemoteStart
from session_service.domain.sessions import Session
from session_service.domain.silence import Sighting

log = structlog.get_logger()

_RETRY_AFTER = timedelta(seconds=1)
_LOOKS_AT_ONCE = 8
_LOOK_S = 5.0
_CREATION_S = 10.0
# Of an identity that it does not allow, device_service says that the request is wrong.
_UNKNOWN = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT})
"""How long device_service may take for a command beside what the caller waits for its answer."""


class AuthorizationClient:
    """Asks auth_service about id tags."""

    def __init__(self, channel: grpc.aio.Channel, tracing: Tracing) -> None:
        self._stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
        self._tracing = tracing

    async def check(self, id_tag: str, charge_point_id: str, *, timeout_s: float) -> TagCheck:
        """Tell whether a tag may charge now; see the port for what it raises."""
        request = authorization_pb2.CheckIdTagRequest(
            id_tag=id_tag, charge_point_id=charge_point_id
        )
        try:
            response = await self._stub.CheckIdTag(
                request, timeout=timeout_s, wait_for_ready=True, metadata=_trace(self._tracing)
            )
        except grpc.aio.AioRpcError as error:
            log.warning("id_tag_unchecked", code=error.code().name, charge_point=charge_point_id)
            raise ServiceUnavailable(
                "The id tag cannot be checked now; try again.", retry_after=_RETRY_AFTER
            ) from error
        return convert.to_tag_check(response)


class CommandClient:
    """Asks device_service for commands; see the port for what its methods raise."""

    def __init__(self, channel: grpc.aio.Channel, tracing: Tracing) -> None:
        self._stub = command_pb_grpc.CommandServiceStub(channel)
        self._tracing = tracing

    async def remote_start(self, start: RemoteStart, order: Order) -> command_pb.Command:
        """Ask a charge point to start a session."""
        return await self._create(convert_remote.to_remote_start(start, order), order)

    async def remote_stop(self, session: Session, order: Order) -> command_pb.Command:
        """Ask the charge point of a session to stop it."""
        return await self._create(convert_remote.to_remote_stop(session, order), order)

    async def _create(
        self, request: command_pb.CreateCommandRequest, order: Order
    ) -> command_pb.Command:
        requester = ((REQUESTER, order.requester),) if order.requester else ()
        try:
            return await self._stub.CreateCommand(
                request,
                timeout=order.wait.total_seconds() + _CREATION_S,
                metadata=(*_trace(self._tracing), *requester),
            )
        except grpc.aio.AioRpcError as error:
            raise _told(error) from error


class ChargePointClient:
    """Asks device_service about charge points."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = charge_point_pb_grpc.ChargePointServiceStub(channel)
        self._at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def sightings(self, charge_point_ids: Collection[str]) -> Mapping[str, Sighting]:
        """Return what is known of charge points; see the port for what it raises."""
        ids = sorted(charge_point_ids)
        found = await asyncio.gather(*(self._sighting(each) for each in ids))
        return {key: seen for key, seen in zip(ids, found, strict=True) if seen is not None}

    async def _sighting(self, charge_point_id: str) -> Sighting | None:
        request = charge_point_pb.GetChargePointRequest(name=f"chargePoints/{charge_point_id}")
        async with self._at_once:
            try:
                found = await self._stub.GetChargePoint(request, timeout=_LOOK_S)
            except grpc.aio.AioRpcError as error:
                if error.code() in _UNKNOWN:
                    return None
                raise ServiceUnavailable(
                    "The charge points cannot be read now; try again.", retry_after=_RETRY_AFTER
                ) from error
        return convert_remote.to_sighting(found)


def _told(error: grpc.aio.AioRpcError) -> PlatformError:
    """Return what device_service said against a command, or that it said nothing."""
    status = rpc_status.from_call(error)
    told = None if status is None else from_status(status)
    if told is not None:
        return convert_remote.to_own_fields(told)
    log.warning("command_not_created", code=error.code().name, error=error.details())
    return ServiceUnavailable(
        "device_service gives no answer now; try again, with the same request_id.",
        retry_after=_RETRY_AFTER,
    )


def _trace(tracing: Tracing) -> tuple[tuple[str, str], ...]:
    traceparent = tracing.current_traceparent()
    return (("traceparent", traceparent),) if traceparent else ()
