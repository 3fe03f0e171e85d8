"""What happens around every gRPC call, as a list that one can read.

Validation is not in the list: requests are *parsed* by their service's `convert` module, which
alone knows every rule and can therefore report all violations of a request together
(`servicekit.parsing`).
"""

import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from grpc_status.rpc_status import to_status as to_grpc_status

from servicekit.errors import InternalError, InvalidRequest, PlatformError, Violation
from servicekit.status import to_status
from servicekit.telemetry import SpanKind, Tracing

log = structlog.get_logger()

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Proceed = Callable[[], Awaitable[Any]]
_UNREADABLE = Violation("request", "must be a message of this method, with texts in UTF-8")
_QUIET = ("/grpc.health.v1.", "/grpc.reflection.")


class AroundInterceptor(grpc.aio.ServerInterceptor):
    """Base of the interceptors: `around` runs about every call, of whatever arity."""

    @abstractmethod
    async def around(self, method: str, context: Context, proceed: Proceed) -> Any:
        """Run the call by `await proceed()` and return what it returned."""

    async def intercept_service(
        self,
        continuation: Any,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of the method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_QUIET):
            return handler
        if handler.response_streaming:
            return self._streaming(handler, method)
        return self._unary(handler, method)

    def _unary(self, handler: Any, method: str) -> Any:
        inner = handler.unary_unary

        async def call(request: Any, context: Context) -> Any:
            return await self.around(method, context, lambda: inner(request, context))

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )

    def _streaming(self, handler: Any, method: str) -> Any:
        inner = handler.stream_stream or handler.unary_stream

        async def call(request: Any, context: Context) -> None:
            await self.around(method, context, lambda: _write_all(inner(request, context), context))

        wrap = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return wrap(call, handler.request_deserializer, handler.response_serializer)


async def _write_all(responses: AsyncIterator[Any] | Awaitable[None], context: Context) -> None:
    """Serve both shapes of a streaming handler: an async generator, and one that writes itself."""
    if isinstance(responses, AsyncIterator):
        async for response in responses:
            await context.write(response)
    else:
        await responses


class TracingInterceptor(AroundInterceptor):
    """Opens a server span that continues the caller's trace."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def around(self, method: str, context: Context, proceed: Proceed) -> Any:
        """Run the call within a span; a stream has a span for each message instead."""
        if not self._tracing.enabled or method.endswith(("/Exchange", "/Connect")):
            return await proceed()
        metadata = dict(context.invocation_metadata() or ())
        parent = str(metadata.get("traceparent", ""))
        with self._tracing.span(method.lstrip("/"), parent=parent, kind=SpanKind.SERVER):
            return await proceed()


class AccessLogInterceptor(AroundInterceptor):
    """Logs one line a call: method, code, duration."""

    async def around(self, method: str, context: Context, proceed: Proceed) -> Any:
        """Run the call and log how it ended."""
        begun = time.monotonic()
        try:
            return await proceed()
        finally:
            log.info(
                "rpc_served",
                method=method,
                code=_code_name(context),
                duration_ms=round((time.monotonic() - begun) * 1000, 1),
            )


def _code_name(context: Context) -> str:
    code: Any = context.code()
    if isinstance(code, int):
        code = next((item for item in grpc.StatusCode if item.value[0] == code), None)
    return code.name if code else grpc.StatusCode.OK.name


class ErrorInterceptor(AroundInterceptor):
    """Turns what a handler raises into a `google.rpc.Status`; the only place that knows both."""

    async def around(self, method: str, context: Context, proceed: Proceed) -> Any:
        """Run the call; end it with a status when it raises."""
        try:
            return await proceed()
        except PlatformError as error:
            status = to_status(error)
        except Exception as error:
            if isinstance(error, grpc.aio.AbortError):
                raise
            log.exception("rpc_failed", method=method)
            status = to_status(InternalError("An internal error occurred; it has been logged."))
        return await _abort(context, status)

    def _unary(self, handler: Any, method: str) -> Any:
        inner = handler.unary_unary

        async def call(request: Any, context: Context) -> Any:
            if request is None:
                raise InvalidRequest([_UNREADABLE])
            return await inner(request, context)

        readable = grpc.unary_unary_rpc_method_handler(
            call, _or_none(handler.request_deserializer), handler.response_serializer
        )
        return super()._unary(readable, method)


def _or_none(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return a deserializer that does not raise: gRPC would call that a fault of the server."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return None

    return read


async def _abort(context: Context, status: status_pb2.Status) -> None:
    await context.abort_with_status(to_grpc_status(status))


def interceptors(tracing: Tracing) -> Sequence[grpc.aio.ServerInterceptor]:
    """Return the interceptors of every server, outermost first."""
    return [TracingInterceptor(tracing), AccessLogInterceptor(), ErrorInterceptor()]
