"""The servers under load, each with a load generator of its own."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import platform as voltmesh
from benchmarks.generator import Generator, Opening, generating
from benchmarks.measure import Processes
from benchmarks.scale import Scale
from benchmarks.yardsticks import LOOPBACK, SERVERS
from deploy import ports
from deploy.embedded import Platform
from deploy.process import Process

PICOWS = "picows-echo"
WEBSOCKETS = "websockets-echo"
OCPP = "ocpp-package"
VOLTMESH = "voltmesh"
VOLTMESH_ENVOY = "voltmesh-envoy"
_ECHOES = {PICOWS, WEBSOCKETS}
SERVER = "server"
"""The one process of a yardstick."""


@dataclass(frozen=True)
class Server:
    """A server, its processes, and the load generator that is connected to it."""

    name: str
    processes: Processes
    generator: Generator


@asynccontextmanager
async def serving(platform: Platform, folder: Path, scale: Scale) -> AsyncIterator[list[Server]]:
    """Start the yardsticks and connect load generators to them and to the platform."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(_yardstick(name, folder, scale)) for name in SERVERS
        ]
        urls = {
            VOLTMESH: f"ws://{platform.address('gateway')}/ocpp",
            VOLTMESH_ENVOY: platform.ocpp_url,
        }
        for name, url in urls.items():
            # A name of its own for each: a second socket would replace the first.
            generator = generating(url, scale.connections, prefix=name)
            servers.append(
                Server(
                    name,
                    Processes(voltmesh.pids(platform)),
                    await stack.enter_async_context(generator),
                )
            )
        yield servers


@asynccontextmanager
async def _yardstick(name: str, folder: Path, scale: Scale) -> AsyncIterator[Server]:
    port = ports.claim(LOOPBACK, 0, "nothing: any port will do")
    process = Process(
        name,
        [sys.executable, "-m", "benchmarks.yardsticks", name, str(port)],
        folder / f"{name}.log",
        ready=partial(ports.answering, f"{LOOPBACK}:{port}"),
    )
    await process.start()
    try:
        url = f"ws://{LOOPBACK}:{port}/ocpp"
        opening: Opening = "connect" if name in _ECHOES else "charge"
        async with generating(url, scale.connections, prefix=name, opening=opening) as generator:
            yield Server(name, Processes({SERVER: process.pid}), generator)
    finally:
        await process.kill()
