"""Callers of this replica that wait for commands to change."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from servicekit.errors import QueueFull

_MAX_WAITERS = 1000
_POLL_INTERVAL_S = 1.0
"""How long news from another replica may take when they are lost on the way."""


class Waiters:
    """Wakes those who wait for a command; implements `CommandEvents` within one process."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._count = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the process stops: nobody is to wait any more."""
        return self._closed

    def command_changed(self, command_id: str) -> None:
        """Wake those who wait for a command."""
        for event in self._waiting.get(command_id, ()):
            event.set()

    @contextmanager
    def waiting_for(self, command_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set by each change of a command during the block.

        Raises:
            QueueFull: Too many wait already.
        """
        if self._count >= _MAX_WAITERS:
            raise QueueFull("Too many callers wait for commands; ask again without wait.")
        event = asyncio.Event()
        self._count += 1
        self._waiting.setdefault(command_id, set()).add(event)
        try:
            yield event
        finally:
            self._count -= 1
            self._waiting[command_id].remove(event)
            if not self._waiting[command_id]:
                del self._waiting[command_id]

    async def close(self) -> None:
        """Wake all, so that the process can stop."""
        self._closed = True
        for command_id in list(self._waiting):
            self.command_changed(command_id)


async def changed(event: asyncio.Event, within_s: float = _POLL_INTERVAL_S) -> None:
    """Return at the next change, or when it is time to look whether there was one unheard."""
    try:
        async with asyncio.timeout(min(within_s, _POLL_INTERVAL_S)):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
