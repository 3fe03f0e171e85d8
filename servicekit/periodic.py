"""Work that is done again and again for as long as the process runs."""

import asyncio
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
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], interval_s: float) -> None:
        self._name, self._work, self._interval_s = name, work, interval_s
        self._task: asyncio.Task[None] | None = None

    def started(self) -> Self:
        """Begin, and return the same object."""
        self._task = asyncio.create_task(self._run())
        return self

    async def close(self) -> None:
        """End; what is being done is given up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            try:
                await self._work()
            except PlatformError as error:
                log.warning("periodic_work_failed", work=self._name, reason=error.reason)
            except Exception:
                log.exception("periodic_work_failed", work=self._name)
            await asyncio.sleep(self._interval_s)
