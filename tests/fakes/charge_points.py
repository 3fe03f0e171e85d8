"""A device_service whose charge points are the test's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import grpc

from csms.v1 import charge_point_service_pb2 as pb
from csms.v1 import charge_point_service_pb2_grpc as pb_grpc
from servicekit.timestamps import to_timestamp


class FakeChargePoints(pb_grpc.ChargePointServiceServicer):
    """Shows the charge points that a test has let boot; nothing else of ChargePointService."""

    def __init__(self) -> None:
        self._charge_points: dict[str, pb.ChargePoint] = {}

    def booted(self, charge_point_id: str, time: datetime) -> None:
        """Let a charge point boot, and be seen at the same time."""
        name = f"chargePoints/{charge_point_id}"
        at = to_timestamp(time)
        self._charge_points[name] = pb.ChargePoint(name=name, last_boot_time=at, last_seen_time=at)

    async def GetChargePoint(
        self, request: pb.GetChargePointRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ChargePoint:
        """Return a charge point that has booted."""
        if request.name not in self._charge_points:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such charge point.")
        return self._charge_points[request.name]


@asynccontextmanager
async def serving_charge_points(
    charge_points: FakeChargePoints, address: str
) -> AsyncIterator[None]:
    """Serve for the length of the block."""
    server = grpc.aio.server()
    pb_grpc.add_ChargePointServiceServicer_to_server(charge_points, server)
    server.add_insecure_port(address)
    await server.start()
    yield
    await server.stop(0)
