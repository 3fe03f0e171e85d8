"""The gRPC face of device_service: parse, call, convert."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from google.protobuf import empty_pb2

from csms.gateway.v1 import admission_pb2, admission_pb2_grpc
from csms.v1 import charge_point_service_pb2 as pb
from csms.v1 import charge_point_service_pb2_grpc as pb_grpc
from csms.v1 import command_service_pb2 as command_pb
from csms.v1 import command_service_pb2_grpc as command_pb_grpc
from device_service.convert import charge_points as convert
from device_service.convert import commands as convert_commands
from device_service.convert.payloads import Payloads
from device_service.domain import State
from device_service.use_cases import Admission, ChargePoints, Commands, Frames, Reports
from servicekit.clock import Clock
from servicekit.ids import IdSource
from servicekit.interceptors import Context
from servicekit.telemetry import Tracing


class ChargePointApi(pb_grpc.ChargePointServiceServicer):
    """`csms.v1.ChargePointService`, for operators."""

    def __init__(self, charge_points: ChargePoints, reports: Reports, frames: Frames) -> None:
        self._charge_points, self._reports, self._frames = charge_points, reports, frames

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        pb_grpc.add_ChargePointServiceServicer_to_server(self, server)
        return pb.DESCRIPTOR.services_by_name["ChargePointService"].full_name

    async def GetChargePoint(
        self, request: pb.GetChargePointRequest, context: Context
    ) -> pb.ChargePoint:
        """Get one charge point."""
        return convert.to_charge_point(await self._charge_points.get(convert.named(request)))

    async def ListChargePoints(
        self, request: pb.ListChargePointsRequest, context: Context
    ) -> pb.ListChargePointsResponse:
        """List charge points, newest first."""
        page = await self._charge_points.list(*convert.list_charge_points(request))
        return convert.to_charge_points(page)

    async def CreateChargePoint(
        self, request: pb.CreateChargePointRequest, context: Context
    ) -> pb.ChargePoint:
        """Register a charge point."""
        created = await self._charge_points.create(*convert.create_request(request))
        return convert.to_charge_point(created)

    async def UpdateChargePoint(
        self, request: pb.UpdateChargePointRequest, context: Context
    ) -> pb.ChargePoint:
        """Update what operators set of a charge point."""
        updated = await self._charge_points.update(*convert.update_request(request))
        return convert.to_charge_point(updated)

    async def DeleteChargePoint(
        self, request: pb.DeleteChargePointRequest, context: Context
    ) -> empty_pb2.Empty:
        """Delete a charge point with its connectors and notices."""
        await self._charge_points.delete(convert.named(request))
        return empty_pb2.Empty()

    async def AcceptChargePoint(
        self, request: pb.AcceptChargePointRequest, context: Context
    ) -> pb.ChargePoint:
        """Accept a charge point."""
        key = convert.named(request)
        return convert.to_charge_point(await self._charge_points.set_state(key, State.ACCEPTED))

    async def RejectChargePoint(
        self, request: pb.RejectChargePointRequest, context: Context
    ) -> pb.ChargePoint:
        """Reject a charge point."""
        key = convert.named(request)
        return convert.to_charge_point(await self._charge_points.set_state(key, State.REJECTED))

    async def GetConnector(self, request: pb.GetConnectorRequest, context: Context) -> pb.Connector:
        """Get one connector."""
        connector = await self._reports.connector(*convert.named_connector(request))
        return convert.to_connector(connector)

    async def ListConnectors(
        self, request: pb.ListConnectorsRequest, context: Context
    ) -> pb.ListConnectorsResponse:
        """List connectors by charge point and number."""
        page = await self._reports.connectors(*convert.list_connectors(request))
        return convert.to_connectors(page)

    async def ListNotices(
        self, request: pb.ListNoticesRequest, context: Context
    ) -> pb.ListNoticesResponse:
        """List notices, newest first."""
        return convert.to_notices(await self._reports.notices(*convert.list_notices(request)))

    async def WatchFrames(
        self, request: pb.WatchFramesRequest, context: Context
    ) -> AsyncIterator[pb.Frame]:
        """Stream the frames of a charge point: those that are kept, then each as it passes."""
        async with aclosing(self._frames.watch(convert.watched(request))) as frames:
            async for frame in frames:
                yield convert.to_frame(frame)

    async def ListRefusedHandshakes(
        self, request: pb.ListRefusedHandshakesRequest, context: Context
    ) -> pb.ListRefusedHandshakesResponse:
        """List refused handshakes, newest first."""
        page = await self._reports.refused_handshakes(convert.list_refused_handshakes(request))
        return convert.to_refused_handshakes(page)


class CommandApi(command_pb_grpc.CommandServiceServicer):
    """`csms.v1.CommandService`, for operators."""

    def __init__(
        self,
        commands: Commands,
        payloads: Payloads,
        clock: Clock,
        new_id: IdSource,
        tracing: Tracing,
    ) -> None:
        self._commands, self._payloads, self._clock = commands, payloads, clock
        self._new_id, self._tracing = new_id, tracing

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        command_pb_grpc.add_CommandServiceServicer_to_server(self, server)
        return command_pb.DESCRIPTOR.services_by_name["CommandService"].full_name

    async def CreateCommand(
        self, request: command_pb.CreateCommandRequest, context: Context
    ) -> command_pb.Command:
        """Create a command, which is sent as soon as the charge point is free for it."""
        command, wait = convert_commands.create_request(
            request,
            self._payloads,
            new_id=self._new_id(),
            now=self._clock.now(),
            requester=convert_commands.requester(context.invocation_metadata() or ()),
            traceparent=self._tracing.current_traceparent(),
        )
        return convert_commands.to_command(await self._commands.create(command, wait))

    async def GetCommand(
        self, request: command_pb.GetCommandRequest, context: Context
    ) -> command_pb.Command:
        """Get one command; with `wait`, when it has ended or the time is over."""
        command = await self._commands.get(*convert_commands.get_request(request))
        return convert_commands.to_command(command)

    async def ListCommands(
        self, request: command_pb.ListCommandsRequest, context: Context
    ) -> command_pb.ListCommandsResponse:
        """List commands, newest first."""
        page = await self._commands.list(*convert_commands.list_request(request))
        return convert_commands.to_commands(page)

    async def CancelCommand(
        self, request: command_pb.CancelCommandRequest, context: Context
    ) -> command_pb.Command:
        """Cancel a command that is not yet on its way."""
        cancelled = await self._commands.cancel(*convert_commands.named(request))
        return convert_commands.to_command(cancelled)

    async def WatchCommand(
        self, request: command_pb.WatchCommandRequest, context: Context
    ) -> AsyncIterator[command_pb.Command]:
        """Stream a command as it is now and after every change, until it has ended."""
        async with aclosing(self._commands.watch(*convert_commands.named(request))) as changes:
            async for command in changes:
                yield convert_commands.to_command(command)


class AdmissionApi(admission_pb2_grpc.AdmissionServiceServicer):
    """`csms.gateway.v1.AdmissionService`, for gateways."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        admission_pb2_grpc.add_AdmissionServiceServicer_to_server(self, server)
        return admission_pb2.DESCRIPTOR.services_by_name["AdmissionService"].full_name

    async def Admit(
        self, request: admission_pb2.AdmitRequest, context: Context
    ) -> admission_pb2.AdmitResponse:
        """Admit or refuse the opening handshake of a charge point."""
        return convert.to_admit_response(*await self._admission(convert.handshake(request)))
