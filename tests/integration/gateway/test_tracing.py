"""One message is one trace, from the socket to the service."""

import asyncio

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from servicekit import telemetry
from servicekit.telemetry import Tracing
from tests.fakes.otlp import collecting
from tests.integration.gateway.harness import ask, authorize, frame, installed
from tests.support.services import free_address


async def test_spans_of_gateway_and_service_are_one_trace() -> None:
    address = free_address()
    async with collecting(address) as collector:
        gateway, service = (Tracing(name, f"http://{address}") for name in ("gateway", "service"))
        async with installed(gateway, service, trace_sample_ratio=0) as installation:
            socket = await installation.charge_point()
            await ask(socket, authorize("m-1"))
            await ask(socket, frame("m-2", "Heartbeat"))
            await ask(socket, frame("m-3", "MeterValues", {"connectorId": 1, "meterValue": []}))
        await asyncio.gather(*(asyncio.to_thread(item.close) for item in (gateway, service)))
    spans = {(name, span.name): span for name, span in collector.spans}
    above, below = spans["gateway", "Authorize"], spans["service", "authorize"]
    assert below.parent_span_id == above.span_id
    assert below.trace_id == above.trace_id
    assert not above.parent_span_id
    assert {above.kind, below.kind} == {Span.SPAN_KIND_SERVER}
    assert values(above)["message.id"] == "m-1"
    assert values(above)["charge.point"] == "CP-1"
    assert "CARD" not in str(collector.spans)
    assert not [name for name in spans if "eter" in name[1] or "eartbeat" in name[1]]


def values(span: Span) -> dict[str, str]:
    return {item.key: item.value.string_value for item in span.attributes}


async def test_without_a_receiver_nothing_is_traced() -> None:
    tracing = Tracing("quiet", "")
    with tracing.span("anything") as traceparent:
        assert not traceparent
        assert not tracing.current_traceparent()
    tracing.close()


async def test_trace_of_the_caller_goes_on() -> None:
    address = free_address()
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    async with collecting(address):
        tracing = Tracing("service", f"http://{address}")
        with tracing.span("outer", parent=parent) as outer, tracing.span("inner") as inner:
            pass
        await asyncio.to_thread(tracing.close)
    assert [item.split("-")[1] for item in (outer, inner)] == ["a" * 32] * 2
    assert outer.split("-")[2] != inner.split("-")[2]


async def test_receiver_that_is_away_does_not_hold_up_the_end() -> None:
    endpoint = f"http://{free_address()}"
    tracing, provider = Tracing("service", endpoint), TracerProvider()
    patient = OTLPSpanExporter(endpoint, insecure=True, timeout=3 * telemetry._EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(patient))
    with tracing.span("lost"), provider.get_tracer("patient").start_as_current_span("lost"):
        pass
    closing, waiting = (
        asyncio.create_task(asyncio.to_thread(end)) for end in (tracing.close, provider.shutdown)
    )
    done, _ = await asyncio.wait({closing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    assert done == {closing}
    patient.shutdown()
    await waiting
