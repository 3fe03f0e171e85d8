"""Waiting for what happens in its own time, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_PATIENCE_S = 30


async def until(condition: Callable[[], object], within_s: float = _PATIENCE_S) -> None:
    """Return when a condition holds; fail when it does not hold in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.005)


async def eventually(check: Callable[[], Awaitable[object]], within_s: float = _PATIENCE_S) -> None:
    """Return when a check that asks somebody holds; fail when it does not hold in time."""
    deadline = time.monotonic() + within_s
    while not await check():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.1)
