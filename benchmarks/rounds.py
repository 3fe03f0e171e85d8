"""Puts every server under the same load, in turns, and measures."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import platform as voltmesh
from benchmarks.generator import Outcome, StormOutcome, generating
from benchmarks.measure import Processes, resident_kib
from benchmarks.scale import Scale
from benchmarks.servers import Server
from deploy.embedded import Platform

ACTIONS = ("MeterValues", "Heartbeat")
STORM_TIMEOUT_S = 60.0
_SETTLED_S = 1.0
_SETTLE_TIMEOUT_S = 15.0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """One round of one server.

    Attributes:
        cpu_us: CPU microseconds per message, by process.
        generator_us: The same of the load generator.
    """

    server: str
    action: str
    outcome: Outcome
    cpu_us: dict[str, float]
    generator_us: float

    @property
    def total_us(self) -> float:
        """CPU microseconds per message of all processes of the server."""
        return sum(self.cpu_us.values())

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.outcome.answered / self.outcome.seconds


class Rounds:
    """Runs rounds and counts what voltmesh has answered.

    Args:
        servers: Who is measured.
        scale: How much.
        tell: Shows progress to a person.
    """

    def __init__(self, servers: Sequence[Server], scale: Scale, tell: Tell) -> None:
        self._servers, self._scale, self._tell = servers, scale, tell
        self.stored_meter_values = 0

    async def measure(self) -> list[Measured]:
        """Return the median round, by CPU, of every server and action."""
        return [median for action in ACTIONS for median in await self._measure(action)]

    async def _measure(self, action: str) -> list[Measured]:
        for server in self._servers:
            await self._run(server, action, self._scale.warm_up_seconds)
        rounds: dict[str, list[Measured]] = {server.name: [] for server in self._servers}
        for number in range(1, self._scale.rounds + 1):
            for server in self._servers:
                measured = await self._run(server, action, self._scale.seconds)
                rounds[server.name].append(measured)
                self._tell(
                    f"{action} {number}/{self._scale.rounds}  {server.name:16}"
                    f"{measured.rate:9,.0f} messages/s {measured.total_us:8.1f} µs CPU each"
                )
        return [_median(of_server) for of_server in rounds.values()]

    async def _run(self, server: Server, action: str, seconds: float) -> Measured:
        everything = Processes({**server.processes.pids, "": server.generator.pid})
        before = everything.cpu()
        outcome = await server.generator.run(action, seconds, self._scale.most)
        cpu_us = everything.cpu().since(before).us_per(outcome.answered)
        if action == "MeterValues" and server.name.startswith("voltmesh"):
            self.stored_meter_values += outcome.answered
        return Measured(server.name, action, outcome, cpu_us, cpu_us.pop(""))


@dataclass(frozen=True)
class Fleet:
    """What a large fleet costs that says nothing, and what happens when all of it comes back.

    Attributes:
        idle_kib: Resident memory of the gateway for each idle connection, in KiB.
        storm: The reconnect of all of them at once.
    """

    idle_kib: float
    storm: StormOutcome


async def fleet(platform: Platform, connections: int, tell: Tell) -> Fleet:
    """Open idle connections, measure their memory, and let all of them reconnect at once.

    Each charge point connects, boots and says no more.

    Raises:
        GeneratorError: A charge point did not come back.
    """
    gateway = voltmesh.pids(platform)["gateway"]
    before = await _settled_kib(gateway)
    url = f"ws://{platform.address('gateway')}/ocpp"
    async with generating(url, connections, prefix="idle", opening="boot") as generator:
        after = await _settled_kib(gateway)
        connected = generator.connected
        tell(f"all {connected} lose their connection and come back")
        storm = await generator.storm(STORM_TIMEOUT_S)
    return Fleet((after - before) / connected, storm)


async def _settled_kib(pid: int) -> float:
    """Return the memory of a process once it has not changed for a second."""
    deadline = time.monotonic() + _SETTLE_TIMEOUT_S
    latest = resident_kib(pid)
    while True:
        await asyncio.sleep(_SETTLED_S)
        now = resident_kib(pid)
        if now == latest or time.monotonic() > deadline:
            return now
        latest = now


def _median(rounds: Sequence[Measured]) -> Measured:
    return sorted(rounds, key=lambda measured: measured.total_us)[len(rounds) // 2]
