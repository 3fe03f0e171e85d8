"""A load generator process, as the run sees it."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

CONNECT_S = 45.0
"""How long connections are opened; what is not open then is left out."""
ROUND_GRACE_S = 40
Opening = Literal["connect", "boot", "charge"]


class GeneratorError(Exception):
    """Says why a load generator ended."""


@dataclass(frozen=True)
class Outcome:
    """What a round of load came to; latencies are in milliseconds."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class StormOutcome:
    """What came of a reconnect storm.

    Attributes:
        charge_points: How many lost their connection.
        booted: How many of them have booted again.
        failed_attempts: Connections or boots that did not succeed and were tried again.
        p50_s: Seconds from the loss until half of them had booted.
        last_s: The same until the last of them had.
    """

    charge_points: int
    booted: int
    failed_attempts: int
    p50_s: float
    last_s: float


class Generator:
    """Sends load from a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.connected = 0

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def run(self, action: str, seconds: float, most: int) -> Outcome:
        """Send messages of an action for some seconds, or until so many are sent.

        Raises:
            GeneratorError: An answer was wrong or did not come.
        """
        self._order("round", action=action, seconds=seconds, most=most)
        return Outcome(**await self.read(seconds + ROUND_GRACE_S))

    async def storm(self, seconds: float) -> StormOutcome:
        """Let all charge points lose their connection and come back, for at most so long.

        Raises:
            GeneratorError: The process ended, or a charge point did not come back.
        """
        self._order("storm", seconds=seconds)
        outcome = StormOutcome(**await self.read(seconds + ROUND_GRACE_S))
        if outcome.booted != outcome.charge_points:
            raise GeneratorError(
                f"After {seconds:.0f} s only {outcome.booted} of {outcome.charge_points} charge "
                "points have booted again."
            )
        return outcome

    async def commands(self) -> list[int]:
        """Return how many commands each charge point has received.

        Raises:
            GeneratorError: The process ended.
        """
        self._order("count commands")
        counts: list[int] = (await self.read(ROUND_GRACE_S))["commands"]
        return counts

    def _order(self, do: str, **values: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")

    async def read(self, timeout_s: float) -> dict[str, Any]:
        """Return what the process says next.

        Raises:
            GeneratorError: It ended instead.
        """
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), timeout_s)
        if not line:
            raise GeneratorError("The load generator ended; its last words are above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def generating(
    url: str, connections: int, *, prefix: str, opening: Opening = "charge"
) -> AsyncIterator[Generator]:
    """Hold connections to a server for the length of the block.

    Args:
        url: Where charge points connect, without their identity.
        connections: How many; the generator tells how many were opened in time.
        prefix: What their identities begin with.
        opening: What each does first: only connect, as for an echo; boot; or start a transaction
            as well.
    """
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "benchmarks.load",
            url,
            str(connections),
            prefix,
            opening,
            str(CONNECT_S),
        ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        generator = Generator(process)
        generator.connected = (await generator.read(CONNECT_S + ROUND_GRACE_S))["connected"]
        yield generator
    finally:
        process.kill()
        await process.wait()


def allow_open_files() -> None:
    """Raise the soft limit of open files to the hard one; processes that are started inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections(wanted: int) -> int:
    """Return how many connections a process may hold, at most as many as wanted.

    Half of its open files: in a storm the old sockets may not be closed when the new ones come.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft // 2)
