"""What operators watch."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from servicekit.outbox.cursor import Cursor
from session_service.domain.events import News
from session_service.ports import EventLog


class Watch:
    """Tells what happens to sessions."""

    def __init__(self, events: EventLog) -> None:
        self._events = events

    async def __call__(
        self, cursor: Cursor | None, charge_point_id: str | None
    ) -> AsyncGenerator[News, None]:
        """Yield where the watch begins, then what happens; see the port for what it raises."""
        async with aclosing(self._events.watch(cursor, charge_point_id)) as news:
            async for item in news:
                yield item
