"""Hands the events of an outbox to those who watch, each at its own speed."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import structlog

from servicekit.database import Database
from servicekit.errors import PlatformError, QueueFull, ServiceUnavailable
from servicekit.outbox.cursor import Cursor
from servicekit.outbox.table import EventTable, PlacedEvent, State

log = structlog.get_logger()

_POLL_INTERVAL_S = 1.0
"""How long events that another replica has stored may take."""
_HEARTBEAT_S = 15.0


@dataclass(frozen=True)
class Batch:
    """What is new: events in their order, perhaps none, and the cursor behind them."""

    cursor: Cursor
    events: Sequence[PlacedEvent]


class Outbox:
    """The events of a schema, watched at this replica.

    While somebody watches, one task follows the table and keeps the last events; who has fallen
    further behind reads the table. Nothing is queued for anybody.

    Args:
        database: Where the schema is.
        max_watchers: Watchers at the same time; one more is refused.
        max_batch: Most events that are read at a time.
        max_recent: Events that are kept in memory.
    """

    def __init__(
        self,
        database: Database,
        *,
        max_watchers: int = 100,
        max_batch: int = 500,
        max_recent: int = 2000,
    ) -> None:
        self._table = EventTable(database)
        self._max_watchers, self._max_batch = max_watchers, max_batch
        self._recent: deque[PlacedEvent] = deque(maxlen=max_recent)
        self._state = State("", 0, 0)
        self._committed, self._news = asyncio.Event(), asyncio.Event()
        self._watchers = 0
        self._follower: asyncio.Task[None] | None = None
        self._closed = False

    def committed(self) -> None:
        """Take note that a transaction with events was committed."""
        self._committed.set()

    async def watch(
        self, cursor: Cursor | None, key: str | None = None
    ) -> AsyncGenerator[Batch, None]:
        """Yield the cursor to begin at, then the events behind it as they come, without an end.

        Every few seconds without one a batch without events tells how far the cursor has moved.

        Args:
            cursor: Behind which event to begin; None: behind the newest one.
            key: Keeps the events about one thing; None: all.

        Raises:
            EventCursorExpired: Events behind the cursor are gone; nothing tells which.
            QueueFull: Too many watch already.
            ServiceUnavailable: This replica stops; go on from the last cursor at another one.
            DatabaseUnavailable: The database is away; go on from the last cursor later.
        """
        loop = asyncio.get_running_loop()
        with self._watching():
            cursor = await self._begin(cursor)
            yield Batch(cursor, ())
            due = loop.time() + _HEARTBEAT_S
            while True:
                self._check_open()
                news = self._news
                events = await self._behind(cursor)
                if events:
                    cursor = Cursor(cursor.origin, events[-1].position)
                wanted = [event for event in events if key in (None, event.key)]
                if wanted or loop.time() >= due:
                    yield Batch(cursor, wanted)
                    due = loop.time() + _HEARTBEAT_S
                if not events:
                    await _set(news, due - loop.time())

    async def close(self) -> None:
        """End all watches, so that the process can stop."""
        self._closed = True
        self._announce()
        self._committed.set()
        if self._follower is not None:
            await asyncio.wait({self._follower})

    @contextmanager
    def _watching(self) -> Iterator[None]:
        self._check_open()
        if self._watchers >= self._max_watchers:
            raise QueueFull("Too many watch already; end other watches first.")
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1
            self._committed.set()

    def _check_open(self) -> None:
        if self._closed:
            raise ServiceUnavailable("The service stops; watch again, from the last cursor.")

    async def _begin(self, cursor: Cursor | None) -> Cursor:
        state = await self._table.settle()
        if cursor is not None:
            state.check(cursor)
        if self._follower is None:
            self._restart(state)
            self._follower = asyncio.create_task(self._follow())
        return cursor or Cursor(state.origin, state.newest)

    async def _behind(self, cursor: Cursor) -> list[PlacedEvent]:
        """Return the next events behind a cursor; from memory, where it reaches back so far.

        Positions have no gaps: the place of an event in memory follows from its position.
        """
        kept = cursor.position - (self._state.newest - len(self._recent))
        if kept >= 0 and cursor.origin == self._state.origin:
            return list(islice(self._recent, kept, kept + self._max_batch))
        state, events = await self._table.read(cursor.position, self._max_batch)
        state.check(cursor)
        return events

    async def _follow(self) -> None:
        """Read what is new for as long as somebody watches."""
        while self._watchers and not self._closed:
            self._committed.clear()
            try:
                await self._catch_up()
            except PlatformError as error:
                log.warning("outbox_not_read", reason=error.reason)
            except Exception:
                log.exception("outbox_not_read")
            await _set(self._committed, _POLL_INTERVAL_S)
        self._follower = None

    async def _catch_up(self) -> None:
        events: list[PlacedEvent] | None = None
        while events is None or len(events) == self._max_batch:
            known = self._state
            state, events = await self._table.follow(known.newest, self._max_batch)
            if state.origin != known.origin or state.horizon > known.newest:
                self._restart(state)
                self._announce()
            elif events:
                self._recent.extend(events)
                self._state = replace(state, newest=events[-1].position)
                self._announce()

    def _restart(self, state: State) -> None:
        self._recent.clear()
        self._state = state

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def _set(event: asyncio.Event, within_s: float) -> None:
    """Return when an event is set, or when the time is over."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return
