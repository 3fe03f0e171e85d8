"""A session_service whose sessions are the test's."""

from datetime import datetime
from typing import Any

import grpc

from csms.v1 import session_service_pb2 as session_pb
from servicekit.timestamps import to_timestamp


class FakeSessions:
    """Serves the sessions that a test adds, the newest first; nothing else of SessionService."""

    def __init__(self) -> None:
        self.sessions: list[session_pb.Session] = []
        self.asked: list[session_pb.ListSessionsRequest] = []

    def add(self, name: str, create_time: datetime) -> None:
        """Let a session begin."""
        created = to_timestamp(create_time)
        self.sessions.insert(0, session_pb.Session(name=name, create_time=created))

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return what a server needs."""
        listing = grpc.unary_unary_rpc_method_handler(
            self._list_sessions,
            request_deserializer=session_pb.ListSessionsRequest.FromString,
            response_serializer=session_pb.ListSessionsResponse.SerializeToString,
        )
        name = session_pb.DESCRIPTOR.services_by_name["SessionService"].full_name
        return grpc.method_handlers_generic_handler(name, {"ListSessions": listing})

    async def _list_sessions(
        self, request: session_pb.ListSessionsRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> session_pb.ListSessionsResponse:
        self.asked.append(request)
        return session_pb.ListSessionsResponse(sessions=self.sessions)
