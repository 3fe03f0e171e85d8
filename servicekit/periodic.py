"""Work that is done again and again for as long as the process runs."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Self

import structlog

from servicekit.errors import PlatformError

log = structlog.get_logger()


class Periodic:
    """Does a piece of work, waits, and does it again, until it is closed.

    Args:
        name: Names the work in the log.
        work: The work; when it fails, that is logged and it is tried again in its turn.
        interval_s: Seconds between the end of one turn and the begin of the next.
        patience_s: Seconds that a turn may still take at the close before it is given up: what is
            cut off amid its statements leaves a connection of the database behind.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        interval_s: float,
        *,
        patience_s: float = 2.0,
    ) -> None:
        self._name, self._work = name, work
        self._interval_s, self._patience_s = interval_s, patience_s
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def started(self) -> Self:
        """Begin, and return the same object."""
        self._task = asyncio.create_task(self._run())
        return self

    async def close(self) -> None:
        """End when the turn that is under way is over, or has taken too long."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=self._patience_s)
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while not self._closing.is_set():
            try:
                await self._work()
            except PlatformError as error:
                log.warning("periodic_work_failed", work=self._name, reason=error.reason)
            except Exception:
                log.exception("periodic_work_failed", work=self._name)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._interval_s)
