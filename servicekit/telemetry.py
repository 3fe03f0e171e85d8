"""One trace for every message: spans, and the trace context between processes (W3C `traceparent`).

Without an OTLP endpoint every span is a no-op and costs next to nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Tracer, set_span_in_context
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
        with self._tracer.start_as_current_span(name, context, kind, _named(attributes)):
            yield self.current_traceparent()

    def begin(
        self, name: str, *, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int
    ) -> tuple[str, Callable[[], None]]:
        """Begin a span that outlives the block: return its `traceparent` and what ends it.

        It has no parent and becomes nobody's current span; arguments as in `span`.
        """
        span = self._tracer.start_span(name, Context(), kind, _named(attributes))
        return _traceparent(set_span_in_context(span)), span.end

    def current_traceparent(self) -> str:
        """Return the `traceparent` of the current span; empty when there is none."""
        return _traceparent(None) if self.enabled else ""

    def close(self) -> None:
        """Send what is left and stop."""
        self._provider.shutdown()


def _named(attributes: dict[str, str | int]) -> dict[str, str | int]:
    return {key.replace("_", "."): value for key, value in attributes.items()}


def _traceparent(context: Context | None) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    return carrier.get(_TRACEPARENT, "")
