"""One trace for every message: spans, and the trace context between processes (W3C `traceparent`).

Without an OTLP endpoint every span is a no-op and costs next to nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_TRACEPARENT = "traceparent"
_EXPORT_TIMEOUT_S = 2
"""Retries included: a receiver that is away must not hold up the end of the process."""
# Proxies of the environment are for the internet, not for our own processes.
_CHANNEL_OPTIONS: Any = (("grpc.enable_http_proxy", 0),)
_PROPAGATOR = TraceContextTextMapPropagator()

__all__ = ["Link", "SpanKind", "Tracing"]


class Tracing:
    """The spans of one process.

    Args:
        service: The process' name in traces.
        otlp_endpoint: http://host:port of an OTLP/gRPC receiver; empty switches tracing off.
    """

    def __init__(self, service: str, otlp_endpoint: str) -> None:
        self.enabled = bool(otlp_endpoint)
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        if self.enabled:
            exporter = OTLPSpanExporter(
                endpoint=otlp_endpoint,
                insecure=True,
                timeout=_EXPORT_TIMEOUT_S,
                channel_options=_CHANNEL_OPTIONS,
            )
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer: Tracer = self._provider.get_tracer("voltmesh")

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str = "",
        kind: SpanKind = SpanKind.INTERNAL,
        **attributes: str | int,
    ) -> Iterator[str]:
        """Open a span for the block and yield its `traceparent`; empty when tracing is off.

        Args:
            name: What happens, in constant words.
            parent: The `traceparent` under which the span belongs; empty: the current span.
            kind: Server, client or internal.
            attributes: Identifiers, never payloads or secrets; `_` becomes `.` in their names.
        """
        if not self.enabled:
            yield ""
            return
        context = _PROPAGATOR.extract({_TRACEPARENT: parent}) if parent else None
        named = {key.replace("_", "."): value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(name, context, kind, named):
            yield self.current_traceparent()

    def current_traceparent(self) -> str:
        """Return the `traceparent` of the current span; empty when there is none."""
        if not self.enabled:
            return ""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get(_TRACEPARENT, "")

    def close(self) -> None:
        """Send what is left and stop."""
        self._provider.shutdown()
