"""An AdmissionService that knows the charge points it is told."""

from __future__ import annotations

from typing import Any

import grpc

from csms.gateway.v1 import admission_pb2, admission_pb2_grpc


class FakeAdmission(admission_pb2_grpc.AdmissionServiceServicer):
    """Admits the identities in `known` that offer `ocpp1.6`; keeps every question."""

    def __init__(self, *known: str) -> None:
        self.known = set(known)
        self.asked: list[admission_pb2.AdmitRequest] = []

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server."""
        admission_pb2_grpc.add_AdmissionServiceServicer_to_server(self, server)
        return "csms.gateway.v1.AdmissionService"

    async def Admit(
        self, request: admission_pb2.AdmitRequest, _: grpc.aio.ServicerContext[Any, Any]
    ) -> admission_pb2.AdmitResponse:
        """Judge as device_service would."""
        self.asked.append(request)
        return admission_pb2.AdmitResponse(verdict=self._verdict(request), subprotocol="ocpp1.6")

    def _verdict(self, request: admission_pb2.AdmitRequest) -> admission_pb2.Verdict.ValueType:
        if request.refusal_reason:
            return admission_pb2.VERDICT_REFUSED_BY_GATEWAY
        if request.charge_point_id not in self.known:
            return admission_pb2.VERDICT_UNKNOWN_CHARGE_POINT
        if "ocpp1.6" not in request.subprotocols:
            return admission_pb2.VERDICT_SUBPROTOCOL_MISSING
        return admission_pb2.VERDICT_ADMITTED


class FailingAdmission(admission_pb2_grpc.AdmissionServiceServicer):
    """Raises what it is given."""

    def __init__(self) -> None:
        self.error: Exception = NotImplementedError()

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server."""
        admission_pb2_grpc.add_AdmissionServiceServicer_to_server(self, server)
        return "csms.gateway.v1.AdmissionService"

    async def Admit(
        self, _: admission_pb2.AdmitRequest, __: grpc.aio.ServicerContext[Any, Any]
    ) -> admission_pb2.AdmitResponse:
        """Fail."""
        raise self.error
