"""Commands by REST: how long one takes, and how many go through one gateway."""

import asyncio
import http
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from benchmarks import platform as voltmesh
from benchmarks.generator import Generator, generating
from benchmarks.latency import Latency, latency
from benchmarks.measure import Processes
from benchmarks.rest import Rest
from benchmarks.scale import Scale
from deploy.embedded import Platform

_PREFIX = "commanded"
_WAIT = "20s"
_ONLINE_TIMEOUT_S = 20.0
_RETRY_S = 0.1
_COMMAND = b'{"getLocalListVersion":{}}'
Done = TypeVar("Done")


class CommandError(Exception):
    """Says which command did not end as it should."""


@dataclass(frozen=True)
class Throughput:
    """What many clients together achieved.

    Attributes:
        charge_points: How many took commands.
        clients: How many sent them.
        completed: Commands that ended COMPLETED; there were no others.
        cpu_us: CPU microseconds per command, by process.
    """

    charge_points: int
    clients: int
    completed: int
    seconds: float
    latency: Latency
    cpu_us: dict[str, float]

    @property
    def rate(self) -> float:
        """Commands per second."""
        return self.completed / self.seconds


@dataclass(frozen=True)
class Commands:
    """Everything that was measured of commands."""

    read: Latency
    command: Latency
    throughput: Throughput


class Client:
    """One blocking REST client on one connection; notes what the charge points answered.

    Args:
        url: The URL before `/v1/…`.
    """

    def __init__(self, url: str) -> None:
        self._rest = Rest(url)
        self.versions: dict[int, list[int]] = {}

    def close(self) -> None:
        """Close the connection."""
        self._rest.close()

    def read(self, number: int) -> None:
        """Read a charge point.

        Raises:
            CommandError: That did not succeed.
        """
        status, answer = self._rest.call("GET", f"/v1/chargePoints/{_PREFIX}-{number}")
        if status != http.HTTPStatus.OK:
            raise CommandError(f"A charge point could not be read: {answer}")

    def command(self, number: int) -> None:
        """Send a command to a charge point and wait for its answer.

        Raises:
            CommandError: It did not end COMPLETED.
        """
        answer = self._command(number)
        if answer.get("state") != "STATE_COMPLETED":
            raise CommandError(f"A command did not complete: {answer}")
        version = answer["response"]["getLocalListVersion"]["listVersion"]
        self.versions.setdefault(number, []).append(version)

    def first_command(self, number: int) -> None:
        """Send a command as soon as the platform knows that the charge point is there.

        Raises:
            CommandError: It did not end COMPLETED, or the charge point stayed away.
        """
        deadline = time.monotonic() + _ONLINE_TIMEOUT_S
        while True:
            try:
                return self.command(number)
            except CommandError as error:
                if "CHARGE_POINT_OFFLINE" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)

    def _command(self, number: int) -> dict[str, Any]:
        path = f"/v1/chargePoints/{_PREFIX}-{number}/commands?wait={_WAIT}"
        answer: dict[str, Any] = self._rest.call("POST", path, _COMMAND)[1]
        return answer


async def measure(platform: Platform, scale: Scale) -> Commands:
    """Measure commands through the platform's one gateway.

    Raises:
        CommandError: A command did not complete, or its frame did not come exactly once.
        GeneratorError: The charge points ended.
    """
    url = f"ws://{platform.address('gateway')}/ocpp"
    clients = [Client(platform.rest_url) for _ in range(scale.command_clients)]
    try:
        async with generating(url, scale.connections, prefix=_PREFIX, opening="boot") as generator:
            return await _measure(platform, scale, clients, generator)
    finally:
        for client in clients:
            client.close()


async def _measure(
    platform: Platform, scale: Scale, clients: Sequence[Client], generator: Generator
) -> Commands:
    shares = [range(index, scale.connections, len(clients)) for index in range(len(clients))]
    await _side_by_side(_reach_all, clients, shares)
    read, command = await asyncio.to_thread(
        _pairs, clients[0], scale.command_pairs, scale.connections
    )
    processes = Processes(voltmesh.pids(platform))
    before = processes.cpu()
    begin = time.perf_counter()
    stream = partial(_stream, end=begin + scale.command_seconds)
    latencies = await _side_by_side(stream, clients, shares)
    seconds = time.perf_counter() - begin
    spent = processes.cpu().since(before)
    _check(clients, await generator.commands())
    together = list(itertools.chain.from_iterable(latencies))
    throughput = Throughput(
        scale.connections,
        len(clients),
        len(together),
        seconds,
        latency(together),
        spent.us_per(len(together)),
    )
    return Commands(read, command, throughput)


async def _side_by_side(
    work: Callable[[Client, Sequence[int]], Done],
    clients: Sequence[Client],
    shares: Sequence[Sequence[int]],
) -> list[Done]:
    """Let each client work on its share of the charge points in a thread of its own."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(clients)) as threads:
        pairs = zip(clients, shares, strict=True)
        return await asyncio.gather(*(loop.run_in_executor(threads, work, *pair) for pair in pairs))


def _reach_all(client: Client, charge_points: Sequence[int]) -> None:
    """Send each charge point one command, which is not reported."""
    for number in charge_points:
        client.first_command(number)


def _pairs(client: Client, count: int, charge_points: int) -> tuple[Latency, Latency]:
    """Read and command in turns, so that a slow moment of the machine hits both."""
    reads, commands = list[float](), list[float]()
    for number in range(count):
        charge_point = number % charge_points
        begin = time.perf_counter()
        client.read(charge_point)
        between = time.perf_counter()
        client.command(charge_point)
        reads.append(between - begin)
        commands.append(time.perf_counter() - between)
    return latency(reads), latency(commands)


def _stream(client: Client, charge_points: Sequence[int], end: float) -> list[float]:
    """Send one command after the other until the time is over, each to the next charge point."""
    latencies = list[float]()
    for number in itertools.cycle(charge_points):
        begin = time.perf_counter()
        if begin >= end:
            break
        client.command(number)
        latencies.append(time.perf_counter() - begin)
    return latencies


def check(received: Sequence[int], versions: Sequence[Sequence[int]]) -> None:
    """Compare the commands on each socket with the answers that REST returned.

    A charge point numbers the commands that it receives and answers with the number: a frame that
    came twice, or an answer that went to another command, leaves a gap.

    Raises:
        CommandError: Some charge point received another number than was answered, or a gap.
    """
    for number, (count, answered) in enumerate(zip(received, versions, strict=True)):
        if sorted(answered) != list(range(1, count + 1)):
            raise CommandError(
                f"Charge point {number} received {count} commands; the answers to "
                f"{len(answered)} came back, the last was {max(answered, default=0)}."
            )


def _check(clients: Sequence[Client], received: Sequence[int]) -> None:
    versions = [
        [version for client in clients for version in client.versions.get(number, [])]
        for number in range(len(received))
    ]
    check(received, versions)
