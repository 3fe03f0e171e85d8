"""TCP ports of this machine: which are free, and who answers."""

import asyncio
import http.client
import itertools
import os
import socket
from collections.abc import Iterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

CHECK_TIMEOUT_S = 2.0

# The kernel gives ports from 32768 up to outgoing connections and to whoever asks for any: one that
# is free now may be taken when the part that should have it starts, or starts again. Those that are
# chosen here lie below, and each process begins to look at a place of its own.
_BLOCK = 8
_FIRSTS = range(10_240, 32_000, _BLOCK)
_begin = os.getpid() * 997 % len(_FIRSTS)
_firsts: Iterator[int] = itertools.cycle([*_FIRSTS[_begin:], *_FIRSTS[:_begin]])


class PortInUseError(Exception):
    """Says which port is taken and which setting moves it."""


def free(host: str = "127.0.0.1") -> int:
    """Return the first of eight ports that are free, for a part and for those that follow it.

    No two calls of a process return the same one until all have had their turn.

    Raises:
        PortInUseError: all are taken, or the host is none of this machine.
    """
    for first in itertools.islice(_firsts, len(_FIRSTS)):
        if not any(_refusal(host, port) for port in range(first, first + _BLOCK)):
            return first
    raise PortInUseError(f"No eight ports in a row are free on {host}. Name one that is.")


def claim(host: str, port: int, setting: str) -> int:
    """Return the port when it is free, or a free one for 0.

    Raises:
        PortInUseError: something listens there already, or it may not be used.
    """
    if refusal := _refusal(host, port):
        raise PortInUseError(
            f"Port {port} of {host} cannot be used ({refusal}). "
            f"Free it, or choose another with {setting}."
        )
    return port or free(host)


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


def _refusal(host: str, port: int) -> str:
    """Return why nobody can listen there now; empty when one can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""
