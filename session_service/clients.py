"""The other services that session_service asks."""

from datetime import timedelta

import grpc
import structlog

from csms.gateway.v1 import authorization_pb2, authorization_pb2_grpc
from servicekit.errors import ServiceUnavailable
from servicekit.telemetry import Tracing
from session_service.convert import ocpp as convert
from session_service.domain.sessions import TagCheck

log = structlog.get_logger()

_RETRY_AFTER = timedelta(seconds=1)


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
        traceparent = self._tracing.current_traceparent()
        metadata = (("traceparent", traceparent),) if traceparent else None
        try:
            response = await self._stub.CheckIdTag(
                request, timeout=timeout_s, wait_for_ready=True, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            log.warning("id_tag_unchecked", code=error.code().name, charge_point=charge_point_id)
            raise ServiceUnavailable(
                "The id tag cannot be checked now; try again.", retry_after=_RETRY_AFTER
            ) from error
        return convert.to_tag_check(response)
