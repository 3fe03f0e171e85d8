"""A service whose gRPC is real and whose handlers are the test's."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from csms.gateway.v1 import call_pb2
from servicekit.calls.server import (
    AnyHandler,
    BatchHandler,
    CallContext,
    CallServer,
    ExchangeContext,
)
from servicekit.clock import Clock, SystemClock
from servicekit.errors import ServiceUnavailable
from servicekit.grpc_server import GrpcServer, Registration
from servicekit.telemetry import Tracing

NO_TRACING = Tracing("test", "")


class RecordingCallServer(CallServer):
    """A call server that keeps every message it reads."""

    def __init__(self, service: "FakeService", tracing: Tracing, max_in_flight: int) -> None:
        super().__init__(service.handlers, service.clock, tracing, max_in_flight=max_in_flight)
        self._service = service

    async def Exchange(
        self,
        request_iterator: AsyncIterator[call_pb2.ExchangeRequest],
        context: ExchangeContext,
    ) -> AsyncIterator[call_pb2.ExchangeResponse]:
        """Serve as the base does."""
        async for response in super().Exchange(self._recorded(request_iterator), context):
            yield response

    async def _recorded(
        self, requests: AsyncIterator[call_pb2.ExchangeRequest]
    ) -> AsyncIterator[call_pb2.ExchangeRequest]:
        async for request in requests:
            self._service.messages.append(len(request.calls))
            self._service.calls.extend(request.calls)
            yield request


class FakeService:
    """Serves calls on one address; may be stopped, killed and started again.

    Attributes:
        handlers: By the name of the payload's field.
        messages: How many calls each message of the stream brought.
        calls: All calls in the order in which they were read.
        healthy: What the health check finds.
        clock: Tells it when a call expires.
    """

    def __init__(
        self,
        address: str,
        handlers: Mapping[str, AnyHandler],
        *registrations: Registration,
        tracing: Tracing = NO_TRACING,
        max_in_flight: int = 4000,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.address, self.handlers = address, dict(handlers)
        self.messages: list[int] = []
        self.calls: list[call_pb2.Call] = []
        self.healthy = True
        self._registrations: Sequence[Registration] = registrations
        self._tracing, self._max_in_flight = tracing, max_in_flight
        self._server: GrpcServer | None = None
        self._call_server: CallServer | None = None

    def of(self, payload: str) -> list[call_pb2.Call]:
        """Return the calls with a payload: `unreadable_frame`, `authorize`."""
        return [call for call in self.calls if payload in _names(call)]

    def hold(self, payload: str) -> asyncio.Event:
        """Let calls with a payload wait until the event is set that is returned."""
        released, handler = asyncio.Event(), self.handlers[payload]
        assert not isinstance(handler, BatchHandler)

        async def held(context: CallContext, request: Any) -> Message | None:
            await released.wait()
            return await handler(context, request)

        self.handlers[payload] = held
        return released

    async def start(self) -> None:
        """Begin to serve."""
        self._call_server = RecordingCallServer(self, self._tracing, self._max_in_flight)
        registrations = [self._call_server.register, *self._registrations]
        self._server = GrpcServer(self.address, registrations, self._check, self._tracing)
        await self._server.start()

    async def drain(self) -> None:
        """Answer what was read and end the streams."""
        assert self._call_server is not None
        async with asyncio.timeout(15):
            await self._call_server.drain()

    async def kill(self) -> None:
        """Cut all streams."""
        assert self._server is not None
        await self._server.stop(0)

    async def stop(self) -> None:
        """Stop in order."""
        await self.drain()
        await self.kill()

    async def _check(self) -> None:
        if not self.healthy:
            raise ServiceUnavailable("Something is away.")


def _names(call: call_pb2.Call) -> tuple[str | None, str | None]:
    return call.WhichOneof("payload"), call.request.WhichOneof("request")
