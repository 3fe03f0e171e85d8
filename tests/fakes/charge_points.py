"""A device_service whose charge points are the test's."""

from datetime import datetime
from typing import Any

import grpc

from csms.v1 import charge_point_service_pb2 as pb
from servicekit.timestamps import to_timestamp


class FakeChargePoints:
    """Shows the charge points that a test has let boot; nothing else of ChargePointService."""

    def __init__(self) -> None:
        self._charge_points: dict[str, pb.ChargePoint] = {}

    def booted(self, charge_point_id: str, time: datetime) -> None:
        """Let a charge point boot, and be seen at the same time."""
        name = f"chargePoints/{charge_point_id}"
        at = to_timestamp(time)
        self._charge_points[name] = pb.ChargePoint(name=name, last_boot_time=at, last_seen_time=at)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return what a server needs."""
        getting = grpc.unary_unary_rpc_method_handler(
            self._get,
            request_deserializer=pb.GetChargePointRequest.FromString,
            response_serializer=pb.ChargePoint.SerializeToString,
        )
        name = pb.DESCRIPTOR.services_by_name["ChargePointService"].full_name
        return grpc.method_handlers_generic_handler(name, {"GetChargePoint": getting})

    async def _get(
        self, request: pb.GetChargePointRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ChargePoint:
        if request.name == "chargePoints/-":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "This is no charge point.")
        if request.name not in self._charge_points:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such charge point.")
        return self._charge_points[request.name]
