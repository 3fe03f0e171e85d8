"""Charge points that all lose their connection at once and come back at once."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from benchmarks.latency import quantile

PAUSE_S = (1.0, 3.0)
"""How long a charge point waits after a failed attempt: between these, at random."""


class AttemptError(Exception):
    """Says that a charge point could not connect or boot; it tries again."""


class Droppable(Protocol):
    """Something that can lose its connection."""

    def drop(self) -> None:
        """Lose it."""


Connected = TypeVar("Connected", bound=Droppable)


class _Storm:
    """Counts what did not go well; times are from when the connections were lost."""

    def __init__(self, seconds: float) -> None:
        self._begin = time.perf_counter()
        self._seconds = seconds
        self.booted = list[float]()
        self.failed = 0

    async def come_back(
        self, open_one: Callable[[str], Awaitable[Connected]], url: str
    ) -> Connected | None:
        """Connect and boot, again and again until it is done or the time is over."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._try(open_one, url)
        except TimeoutError:
            return None

    async def _try(self, open_one: Callable[[str], Awaitable[Connected]], url: str) -> Connected:
        while True:
            try:
                charge_point = await open_one(url)
            except AttemptError:
                self.failed += 1
                await asyncio.sleep(random.uniform(*PAUSE_S))
            else:
                self.booted.append(time.perf_counter() - self._begin)
                return charge_point


async def storm(
    charge_points: Sequence[Connected],
    urls: Sequence[str],
    open_one: Callable[[str], Awaitable[Connected]],
    *,
    seconds: float,
) -> tuple[dict[str, float], list[Connected]]:
    """Drop all connections, open them again all at once, and return what came of it.

    Args:
        charge_points: Who is connected now.
        urls: Where each comes back.
        open_one: Connects and boots one, or raises AttemptError.
        seconds: When to give up.
    """
    for charge_point in charge_points:
        charge_point.drop()
    counts = _Storm(seconds)
    back = await asyncio.gather(*(counts.come_back(open_one, url) for url in urls))
    ordered = sorted(counts.booted)
    outcome = {
        "charge_points": len(urls),
        "booted": len(ordered),
        "failed_attempts": counts.failed,
        "p50_s": quantile(ordered, 0.50),
        "last_s": max(ordered, default=0.0),
    }
    return outcome, [charge_point for charge_point in back if charge_point is not None]
