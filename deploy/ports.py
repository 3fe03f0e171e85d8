"""TCP ports of this machine: which are free, and who answers."""

import asyncio
import http.client
import socket

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

CHECK_TIMEOUT_S = 2.0


class PortInUseError(Exception):
    """Says which port is taken and which setting moves it."""


def claim(host: str, port: int, setting: str) -> int:
    """Return the port when it is free, or any free one for 0.

    Raises:
        PortInUseError: something listens there already, or it may not be used.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUseError(
                f"Port {port} of {host} cannot be used ({error.strerror}). "
                f"Free it, or choose another with {setting}."
            ) from None
        return int(probe.getsockname()[1])


async def serving(address: str) -> bool:
    """Tell whether the gRPC server at host:port says SERVING (grpc.health.v1)."""
    # A pool of its own: connections shared with an earlier probe would share its back-off.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=CHECK_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def healthz(address: str) -> int | None:
    """Return the status of `GET /healthz` at host:port; none when nobody answers."""
    return await asyncio.to_thread(_get_healthz, address)


async def answering(address: str) -> bool:
    """Tell whether `GET /healthz` at host:port is answered, be it with an error."""
    return await healthz(address) is not None


def _get_healthz(address: str) -> int | None:
    connection = http.client.HTTPConnection(address, timeout=CHECK_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
