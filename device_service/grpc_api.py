"""The gRPC face of device_service: parse, call, convert."""

import grpc
from google.protobuf import empty_pb2

from csms.gateway.v1 import admission_pb2, admission_pb2_grpc
from csms.v1 import charge_point_service_pb2 as pb
from csms.v1 import charge_point_service_pb2_grpc as pb_grpc
from device_service import convert
from device_service.domain import State
from device_service.use_cases import Admission, ChargePoints, Reports
from servicekit.interceptors import Context


class ChargePointApi(pb_grpc.ChargePointServiceServicer):
    """`csms.v1.ChargePointService`, for operators."""

    def __init__(self, charge_points: ChargePoints, reports: Reports) -> None:
        self._charge_points, self._reports = charge_points, reports

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

    async def ListRefusedHandshakes(
        self, request: pb.ListRefusedHandshakesRequest, context: Context
    ) -> pb.ListRefusedHandshakesResponse:
        """List refused handshakes, newest first."""
        page = await self._reports.refused_handshakes(convert.list_refused_handshakes(request))
        return convert.to_refused_handshakes(page)


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
