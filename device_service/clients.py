"""The other services that device_service asks."""

from datetime import timedelta

import grpc

from csms.ocpp.v16.central_system_call_pb2 import CentralSystemCall
from csms.v1 import session_service_pb2, session_service_pb2_grpc
from device_service.domain.commands import Command
from servicekit.errors import ServiceUnavailable
from servicekit.timestamps import to_datetime

_TIMEOUT_S = 5.0
_RETRY_AFTER = timedelta(seconds=1)


class SessionClient:
    """Asks session_service about sessions."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = session_service_pb2_grpc.SessionServiceStub(channel)

    async def find_started_by(self, command: Command) -> str:
        """Return the first session of the command's tag since the command; empty: none so far."""
        call = CentralSystemCall.FromString(command.request)
        request = session_service_pb2.ListSessionsRequest(
            charge_point=f"chargePoints/{command.charge_point_id}",
            id_tag=f"idTags/{call.remote_start_transaction.id_tag}",
        )
        try:
            response = await self._stub.ListSessions(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise ServiceUnavailable(
                "The sessions cannot be read now; try again.", retry_after=_RETRY_AFTER
            ) from error
        since = [
            session.name
            for session in response.sessions
            if to_datetime(session.create_time) > command.create_time
        ]
        return since[-1] if since else ""  # the newest comes first
