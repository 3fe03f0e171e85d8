"""Ends reservations when their time is over."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NoReturn

from servicekit.clock import Clock
from simulator.reservations import Reservations

_LONGEST_WAIT_S = 86_400.0


class Expiry:
    """Watches reservations.

    Args:
        reservations: The reservations.
        ended: Called after some of them have ended.
        clock: Tells when.
    """

    def __init__(self, reservations: Reservations, ended: Callable[[], None], clock: Clock) -> None:
        self._reservations, self._ended, self._clock = reservations, ended, clock
        self._changed = asyncio.Event()

    def look_again(self) -> None:
        """Take note that there are other reservations."""
        self._changed.set()

    async def watch(self) -> NoReturn:
        """Drop what ends until cancelled."""
        while True:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._left_s()):
                    await self._changed.wait()
            if self._reservations.expire(self._clock.now()):
                self._ended()

    def _left_s(self) -> float | None:
        expiry = self._reservations.next_expiry()
        if expiry is None:
            return None
        return min((expiry - self._clock.now()).total_seconds(), _LONGEST_WAIT_S)
