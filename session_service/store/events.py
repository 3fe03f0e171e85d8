"""What happens to sessions: told in the transaction that stores it, and read by those who watch."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.clock import Clock
from servicekit.database import Database
from servicekit.outbox.cursor import Cursor
from servicekit.outbox.table import Event, EventTable, PlacedEvent, append
from servicekit.outbox.watch import Outbox
from session_service.convert.api import to_message
from session_service.domain.events import Change, News, SessionEvent
from session_service.domain.sessions import Session


class Changes:
    """What a transaction does to sessions, in order.

    Args:
        connection: That of the transaction.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self._events: list[Event] = []

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._events)

    def started(self, session: Session) -> None:
        """Tell that a session has begun."""
        self._add(Change.STARTED, session)

    def ended(self, before: Session, ended: Session) -> None:
        """Tell that a session has ended, or that its end is not what it was before."""
        if before.end is None:
            self._add(Change.ENDED, ended)
        elif ended != before:
            self._add(Change.CHANGED, ended)

    async def finish(self) -> None:
        """Store all that was told; the rows of the sessions are written, or locked, by then."""
        await append(self.connection, self._events)

    def _add(self, change: Change, session: Session) -> None:
        snapshot = to_message(session).SerializeToString()
        self._events.append(Event(change.value, session.charge_point_id, snapshot))


class PostgresEventLog:
    """What happened to sessions, in the schema of session_service.

    Args:
        database: Where it is.
        clock: Tells what is old.
        retention: How long events are kept.
    """

    def __init__(self, database: Database, clock: Clock, retention: timedelta) -> None:
        self._database, self._clock, self._retention = database, clock, retention
        self._outbox = Outbox(database)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Changes]:
        """Open a transaction that tells what it does to sessions, and wake those who watch.

        Raises:
            DatabaseUnavailable: As `Database.transaction` does.
        """
        async with self._database.transaction() as connection:
            changes = Changes(connection)
            yield changes
            await changes.finish()
        if changes:
            self._outbox.committed()

    async def watch(
        self, cursor: Cursor | None, charge_point_id: str | None
    ) -> AsyncGenerator[News, None]:
        """Yield where the watch begins, then what happens."""
        async with aclosing(self._outbox.watch(cursor, charge_point_id)) as batches:
            async for batch in batches:
                for event in batch.events:
                    yield News(str(Cursor(batch.cursor.origin, event.position)), _to_event(event))
                if not batch.events:
                    yield News(str(batch.cursor))

    async def forget_old(self) -> None:
        """Delete what is older than the retention; see `EventTable.forget`."""
        await EventTable(self._database).forget(self._clock.now() - self._retention)

    async def close(self) -> None:
        """End all watches, so that the process can stop."""
        await self._outbox.close()


def _to_event(event: PlacedEvent) -> SessionEvent:
    return SessionEvent(Change(event.topic), event.payload, event.create_time)
