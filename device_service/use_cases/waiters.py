"""Callers of this replica that wait for commands to change."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from device_service.domain.commands import Command
from servicekit.errors import QueueFull

_MAX_WAITERS = 1000
_POLL_INTERVAL_S = 1.0
"""How long news from another replica may take when they are lost on the way."""


class News:
    """What one caller hears of the command that it waits for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._command: Command | None = None

    @property
    def is_unheard(self) -> bool:
        """Whether there was a change since the last time that somebody asked for the next."""
        return self._event.is_set()

    def tell(self, command: Command | None) -> None:
        """Take a change."""
        self._command = command
        self._event.set()

    async def next(self, within_s: float = _POLL_INTERVAL_S) -> Command | None:
        """Return what the command has become.

        None when nobody knows it here, or it is time to look whether there was a change unheard.
        """
        try:
            async with asyncio.timeout(min(within_s, _POLL_INTERVAL_S)):
                await self._event.wait()
        except TimeoutError:
            return None
        self._event.clear()
        return self._command


class Waiters:
    """Wakes those who wait for a command; implements `CommandEvents` within one process."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[News]] = {}
        self._count = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the process stops: nobody is to wait any more."""
        return self._closed

    def command_changed(self, command_id: str, command: Command | None = None) -> None:
        """Wake those who wait for a command."""
        for news in self._waiting.get(command_id, ()):
            news.tell(command)

    @contextmanager
    def waiting_for(self, command_id: str) -> Iterator[News]:
        """Yield what is told of each change of a command during the block.

        Raises:
            QueueFull: Too many wait already.
        """
        if self._count >= _MAX_WAITERS:
            raise QueueFull("Too many callers wait for commands; ask again without wait.")
        news = News()
        self._count += 1
        self._waiting.setdefault(command_id, set()).add(news)
        try:
            yield news
        finally:
            self._count -= 1
            self._waiting[command_id].remove(news)
            if not self._waiting[command_id]:
                del self._waiting[command_id]

    async def close(self) -> None:
        """Wake all, so that the process can stop."""
        self._closed = True
        for command_id in list(self._waiting):
            self.command_changed(command_id)
