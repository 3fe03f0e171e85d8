"""A device_service whose CommandService does what the test says."""

import asyncio
from typing import Any

import grpc

from csms.v1 import command_service_pb2 as pb
from servicekit.errors import PlatformError


class FakeCommands:
    """Creates every command, unless there is an error to raise; nothing else of CommandService.

    Attributes:
        asked: The creations, in order.
        metadata: What came along with the newest.
        error: What the next creations end with.
        holds: Whether creations get no answer at all.
    """

    def __init__(self) -> None:
        self.asked: list[pb.CreateCommandRequest] = []
        self.metadata: dict[str, str | bytes] = {}
        self.error: PlatformError | None = None
        self.holds = False

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        creating = grpc.unary_unary_rpc_method_handler(
            self._create_command,
            request_deserializer=pb.CreateCommandRequest.FromString,
            response_serializer=pb.Command.SerializeToString,
        )
        name = pb.DESCRIPTOR.services_by_name["CommandService"].full_name
        handlers = grpc.method_handlers_generic_handler(name, {"CreateCommand": creating})
        server.add_generic_rpc_handlers([handlers])
        return name

    async def _create_command(
        self, request: pb.CreateCommandRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.Command:
        self.asked.append(request)
        self.metadata = dict(context.invocation_metadata() or ())
        if self.error is not None:
            raise self.error
        if self.holds:
            await asyncio.Event().wait()
        created = pb.Command(name=f"{request.parent}/commands/1", state=pb.Command.STATE_PENDING)
        created.MergeFrom(request.command)
        return created
