"""Kills parts of the platform at random moments and brings them back."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from deploy.embedded import Platform
from tests.chaos.facts import Traffic

PARTS = ("gateway", "session_service", "device_service", "postgres")
STANDSTILL_S = 90.0
"""With everything back, charge points get to send again within this time."""


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        amid: It comes while others may be away still; otherwise when all are back.
        after_frames: It comes so many frames after that.
        away_s: How long the part stays away before it is started again.
    """

    part: str
    amid: bool
    after_frames: int
    away_s: float


def schedule(seed: int, count: int) -> Iterator[Kill]:
    """Yield kills: each round takes every part once, in random order."""
    chance = random.Random(seed)
    for number in range(count):
        if number % len(PARTS) == 0:
            order = chance.sample(PARTS, len(PARTS))
        part, amid = order[number % len(PARTS)], chance.random() < 0.5
        yield Kill(part, amid, chance.randint(1, 40 if amid else 300), chance.random() ** 2 * 2)


class Killer:
    """Kills by a schedule; several parts may be away at the same time.

    Attributes:
        log: What happened when, a line each.
    """

    def __init__(
        self, platform: Platform, traffic: Traffic, tell: Callable[[str], None] = print
    ) -> None:
        self._platform, self._traffic, self._tell = platform, traffic, tell
        self._began = time.monotonic()
        self._returns: dict[str, asyncio.Task[None]] = {}
        self.log: list[str] = []

    async def run(self, kills: Sequence[Kill]) -> None:
        """Kill one after the other and return when all are back."""
        for number, kill in enumerate(kills, 1):
            await self._moment(kill)
            self._note(f"kill {number}: {kill.part}, for {kill.away_s:.2f} s")
            await self._kill(kill.part)
            self._returns[kill.part] = asyncio.create_task(self._bring_back(kill))
        await asyncio.gather(*self._returns.values())

    async def _moment(self, kill: Kill) -> None:
        """Wait for the moment of a kill; while others are away, perhaps nobody gets to send."""
        if kill.amid:
            await self._traffic.pass_by(kill.after_frames, within_s=kill.away_s)
            if kill.part in self._returns:
                await self._returns[kill.part]
            return
        await asyncio.gather(*self._returns.values())
        moves = await self._traffic.pass_by(kill.after_frames, STANDSTILL_S)
        assert moves, "\n".join(["All parts are back, but nobody sends.", *self.log])

    async def _kill(self, part: str) -> None:
        """Kill a part and all that it started; PostgreSQL's sessions are not in its group."""
        started = psutil.Process(self._platform.pid(part)).children(recursive=True)
        await self._platform.kill(part)
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    async def _bring_back(self, kill: Kill) -> None:
        await asyncio.sleep(kill.away_s)
        await self._platform.start_part(kill.part)
        self._note(f"        {kill.part} is back")

    def _note(self, what: str) -> None:
        line = f"{time.monotonic() - self._began:7.2f} s  {self._traffic.frames:6} frames  {what}"
        self.log.append(line)
        self._tell(line)
