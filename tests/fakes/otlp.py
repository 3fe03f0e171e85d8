"""A receiver of traces."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_REGISTER: Callable[..., None] = trace_service_pb2_grpc.add_TraceServiceServicer_to_server


class FakeCollector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps every span with the name of its service."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []

    async def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, _: Any
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Keep the spans."""
        for resource in request.resource_spans:
            values = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(values["service.name"], span) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def collecting(address: str) -> AsyncIterator[FakeCollector]:
    """Serve a collector for the length of the block."""
    collector, server = FakeCollector(), grpc.aio.server()
    _REGISTER(collector, server)
    server.add_insecure_port(address)
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)
