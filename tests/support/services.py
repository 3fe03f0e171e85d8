"""Services served in the test's own process, over real sockets and a real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from deploy import ports
from servicekit.grpc_client import open_channel
from servicekit.grpc_server import GrpcServer
from servicekit.lifecycle import Service
from servicekit.telemetry import Tracing

NO_TRACING = Tracing("test", "")


def free_address() -> str:
    """Return host:port of a port that is free."""
    return f"127.0.0.1:{ports.free()}"


@asynccontextmanager
async def serving_methods(*handlers: grpc.GenericRpcHandler, address: str) -> AsyncIterator[None]:
    """Serve a few methods for the length of the block."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers)
    server.add_insecure_port(address)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


@asynccontextmanager
async def serving(service: Service, address: str) -> AsyncIterator[grpc.aio.Channel]:
    """Serve for the length of the block and yield a channel to the service."""
    server = GrpcServer(address, service.registrations, service.check, NO_TRACING)
    await server.start()
    channel = open_channel(address)
    try:
        yield channel
    finally:
        for closer in service.drain:
            await closer()
        await channel.close()
        await server.stop(1)
        for closer in service.close:
            await closer()
