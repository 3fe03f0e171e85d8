"""Whether voltmesh is ready, part by part, as the gateway sees it."""

import asyncio
from collections.abc import Mapping

import grpc
import orjson
from grpc_health.v1 import health_pb2, health_pb2_grpc

_TIMEOUT_S = 1.5
_SERVING = "SERVING"
_UNREACHABLE = "UNREACHABLE"


class Health:
    """Asks every service for its gRPC health.

    Args:
        channels: The channels to the services, by name.
    """

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._stubs = {name: health_pb2_grpc.HealthStub(item) for name, item in channels.items()}

    async def report(self) -> tuple[bool, bytes]:
        """Return whether all parts serve, and the report as JSON."""
        states = await asyncio.gather(*(self._state(stub) for stub in self._stubs.values()))
        parts = {"gateway": _SERVING, **dict(zip(self._stubs, states, strict=True))}
        ready = all(state == _SERVING for state in parts.values())
        status = _SERVING if ready else "NOT_SERVING"
        return ready, orjson.dumps({"status": status, "parts": parts})

    async def _state(self, stub: health_pb2_grpc.HealthStub) -> str:
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return _UNREACHABLE
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
