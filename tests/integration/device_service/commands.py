"""An operator's side of commands."""

from __future__ import annotations  # the stubs have names that exist only for type checkers

from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration

from csms.ocpp.v16 import core_pb2
from csms.v1 import command_service_pb2 as pb
from csms.v1 import command_service_pb2_grpc as pb_grpc
from tests.integration.device_service.gateway import Platform


def reset() -> dict[str, Any]:
    """Return the fields of a command that asks for a reset."""
    return {"reset": core_pb2.ResetRequest(type=core_pb2.RESET_TYPE_SOFT)}


def remote_start(id_tag: str = "TAG-1") -> dict[str, Any]:
    """Return the fields of a command that asks for a transaction."""
    request = core_pb2.RemoteStartTransactionRequest(id_tag=id_tag, connector_id=1)
    return {"remote_start_transaction": request}


def remote_stop() -> dict[str, Any]:
    """Return the fields of a command that asks to end a transaction."""
    request = core_pb2.RemoteStopTransactionRequest(transaction_id=1)
    return {"remote_stop_transaction": request}


@dataclass(frozen=True)
class Operator:
    """Calls CommandService."""

    platform: Platform

    @property
    def stub(self) -> pb_grpc.CommandServiceAsyncStub:
        """The service."""
        return pb_grpc.CommandServiceStub(self.platform.channel)

    async def create(
        self,
        identity: str = "CP-1",
        *,
        wait_s: int = 0,
        request_id: str = "",
        requester: str = "",
        **values: Any,
    ) -> pb.Command:
        """Create a command, a reset unless told otherwise."""
        request = pb.CreateCommandRequest(
            parent=f"chargePoints/{identity}",
            command=pb.Command(**(values or reset())),
            wait=Duration(seconds=wait_s),
            request_id=request_id,
        )
        metadata = (("x-requester", requester),) if requester else ()
        return await self.stub.CreateCommand(request, metadata=metadata)

    async def get(self, name: str, *, wait_s: int = 0) -> pb.Command:
        """Get a command."""
        request = pb.GetCommandRequest(name=name, wait=Duration(seconds=wait_s))
        return await self.stub.GetCommand(request)

    async def cancel(self, name: str) -> pb.Command:
        """Cancel a command."""
        return await self.stub.CancelCommand(pb.CancelCommandRequest(name=name))

    async def names(self, parent: str = "chargePoints/-", **filters: Any) -> list[str]:
        """Return the names of the commands on a page."""
        page = await self.stub.ListCommands(pb.ListCommandsRequest(parent=parent, **filters))
        return [command.name for command in page.commands]


def id_of(command: pb.Command) -> str:
    """Return the id of a command."""
    return command.name.rpartition("/")[2]
