"""The gRPC server of a process: interceptors, health, reflection, an orderly stop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from servicekit.errors import PlatformError
from servicekit.interceptors import interceptors
from servicekit.telemetry import Tracing

log = structlog.get_logger()

Registration = Callable[[grpc.aio.Server], str]
"""Adds a servicer to the server and returns the full name of its service."""

Check = Callable[[], Awaitable[None]]
"""Raises a PlatformError when something that the process needs is away."""

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_CHECK_INTERVAL_S = 2.0
_CHECK_TIMEOUT_S = 5.0
_OPTIONS = (
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
    # Gateways ping an idle stream every 20 seconds; the default would take that for an attack.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class GrpcServer:
    """Serves until it is stopped; tells by gRPC health whether what it needs is there.

    Args:
        address: host:port on which to serve.
        registrations: The servicers.
        check: What must hold for the process to be ready.
        tracing: The spans of the process.
    """

    def __init__(
        self, address: str, registrations: Sequence[Registration], check: Check, tracing: Tracing
    ) -> None:
        self._address, self._check = address, check
        self._server = grpc.aio.server(interceptors=interceptors(tracing), options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [register(self._server) for register in registrations]
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            RuntimeError: The address cannot be bound.
        """
        self._server.add_insecure_port(self._address)
        await self._server.start()
        self._watch = asyncio.create_task(self._watch_health())
        log.info("server_started", address=self._address)

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, let the running ones end, then cut what is left."""
        if self._watch is not None:
            self._watch.cancel()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
        log.info("server_stopped", address=self._address)

    async def _watch_health(self) -> None:
        serving: bool | None = None
        while True:
            now_serving = await self._is_ready()
            if now_serving != serving:
                serving = now_serving
                await self._publish(serving)
            await asyncio.sleep(_CHECK_INTERVAL_S)

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                await self._check()
        except PlatformError as error:
            log.warning("not_ready", reason=error.reason, error=error.message)
            return False
        except TimeoutError:
            log.warning("not_ready", reason="CHECK_TIMED_OUT", after_s=_CHECK_TIMEOUT_S)
            return False
        except Exception:
            # A watch that died would publish its last finding for ever.
            log.exception("check_failed")
            return False
        return True

    async def _publish(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await self._health.set("", status.SERVING if serving else status.NOT_SERVING)
        log.info("health_changed", serving=serving)
