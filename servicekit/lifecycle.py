"""The life of a process: settings, logs, `serve` or `migrate`, an orderly stop at SIGTERM."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import structlog
import uvloop
from pydantic import ValidationError

from servicekit.config import ProcessConfig, ServiceConfig
from servicekit.grpc_server import Check, GrpcServer, Registration
from servicekit.logs import configure_logs
from servicekit.migrations import upgrade
from servicekit.telemetry import Tracing

log = structlog.get_logger()

_STOP_GRACE_S = 4.0
_DRAIN_TIMEOUT_S = 8.0
"""What is not answered by then is asked again of the next process."""

Closer = Callable[[], Awaitable[None]]
AnyConfig = TypeVar("AnyConfig", bound=ProcessConfig)
AnyServiceConfig = TypeVar("AnyServiceConfig", bound=ServiceConfig)


@dataclass(frozen=True)
class Service:
    """What a service's wiring puts together.

    Attributes:
        registrations: The servicers of its gRPC server.
        check: Raises when something that the service needs is away.
        drain: Called first at a stop, while the server still answers.
        close: Called last, in order.
    """

    registrations: Sequence[Registration]
    check: Check
    drain: Sequence[Closer] = field(default=())
    close: Sequence[Closer] = field(default=())


def run_service(
    name: str,
    config_type: type[AnyServiceConfig],
    build: Callable[[AnyServiceConfig, Tracing], Service],
    *,
    schema: str,
    migrations: Path,
) -> None:
    """Run a service's command line: nothing or `serve` to serve, `migrate` to update its schema."""
    command = sys.argv[1] if len(sys.argv) > 1 else "serve"
    config = read_config(config_type)
    configure_logs(name, config.log_level, config.log_format)
    if command == "migrate":
        upgrade(config.database_url, schema, migrations)
    elif command == "serve":
        uvloop.run(_serve(name, config, build))
    else:
        sys.exit(f"{name}: unknown command {command!r}; use serve or migrate")


def read_config(config_type: type[AnyConfig]) -> AnyConfig:
    """Return the settings of the environment; end the process with one clear line each if wrong."""
    try:
        return config_type()
    except ValidationError as error:
        for problem in error.errors():
            setting = "CSMS_" + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{setting}: {problem['msg']}; see docs/configuration.md\n")
        sys.exit(2)


async def _serve(
    name: str,
    config: AnyServiceConfig,
    build: Callable[[AnyServiceConfig, Tracing], Service],
) -> None:
    stopping = stop_signal()
    tracing = Tracing(name, config.otlp_endpoint)
    service = build(config, tracing)
    server = GrpcServer(config.listen, service.registrations, service.check, tracing)
    await server.start()
    collect_garbage_rarely()
    await stopping.wait()
    log.info("stopping")
    await _drain(service.drain)
    await server.stop(_STOP_GRACE_S)
    await _call_each(service.close)
    tracing.close()


async def _drain(drain: Sequence[Closer]) -> None:
    try:
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            await _call_each(drain)
    except TimeoutError:
        log.warning("drain_not_finished", after_s=_DRAIN_TIMEOUT_S)


def collect_garbage_rarely() -> None:
    """Let the cyclic garbage collector leave alone what was built at start, and run less often.

    A message leaves hardly any cycles behind, and at Python's own thresholds the collector looks
    for them all the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _call_each(closers: Sequence[Closer]) -> None:
    for closer in closers:
        await closer()
