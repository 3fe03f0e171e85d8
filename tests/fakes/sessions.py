"""A session_service whose sessions are the test's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import grpc

from csms.v1 import session_service_pb2 as session_pb
from csms.v1 import session_service_pb2_grpc as session_pb_grpc
from servicekit.timestamps import to_timestamp


class FakeSessions(session_pb_grpc.SessionServiceServicer):
    """Serves the sessions that a test adds, the newest first."""

    def __init__(self) -> None:
        self.sessions: list[session_pb.Session] = []
        self.asked: list[session_pb.ListSessionsRequest] = []

    def add(self, name: str, create_time: datetime) -> None:
        """Let a session begin."""
        created = to_timestamp(create_time)
        self.sessions.insert(0, session_pb.Session(name=name, create_time=created))

    async def ListSessions(
        self, request: session_pb.ListSessionsRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> session_pb.ListSessionsResponse:
        """List all sessions."""
        self.asked.append(request)
        return session_pb.ListSessionsResponse(sessions=self.sessions)


@asynccontextmanager
async def serving_sessions(sessions: FakeSessions, address: str) -> AsyncIterator[None]:
    """Serve for the length of the block."""
    server = grpc.aio.server()
    session_pb_grpc.add_SessionServiceServicer_to_server(sessions, server)
    server.add_insecure_port(address)
    await server.start()
    yield
    await server.stop(0)
