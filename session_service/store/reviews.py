"""Sessions that have ended are looked at again: late meter values may raise questions."""

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from session_service.store.events import PostgresEventLog
from session_service.store.tables import sessions
from session_service.store.transactions import find_locked

# Ever more rarely: each time when ten times as long has passed since the end. Who is being ended at
# this moment is passed over and comes next time.
_DUE = sa.text(
    """
UPDATE sessions AS s
SET review_time = CASE WHEN age.since_end < interval '3 days' THEN :now + 9 * age.since_end END
FROM (
    SELECT session_id, greatest(:now - stop_receive_time, interval '100 ms') AS since_end
    FROM sessions
    WHERE review_time <= :now
    ORDER BY review_time
    LIMIT :most
    FOR UPDATE SKIP LOCKED
) AS age
WHERE s.session_id = age.session_id
RETURNING s.session_id, EXISTS (
    SELECT FROM meter_values AS m
    WHERE m.session_id = s.session_id AND m.receive_time > s.stop_receive_time
)
"""
)


class PostgresReviews:
    """Reviews sessions in the schema of session_service."""

    def __init__(self, database: Database, events: PostgresEventLog) -> None:
        self._database, self._events = database, events

    async def review(self, now: datetime, most: int) -> int:
        """Review sessions that are due; return how many were."""
        async with self._database.transaction() as connection:
            due = (await connection.execute(_DUE, {"now": now, "most": most})).all()
        for session_id, has_late_values in due:
            if has_late_values:
                await self._review(session_id)
        return len(due)

    async def _review(self, session_id: uuid.UUID) -> None:
        async with self._events.transaction() as changes:
            session = await find_locked(changes.connection, session_id)
            if session is None or session.end is None:
                return
            reviewed = session.reviewed()
            if reviewed != session:
                await _store_flags(changes.connection, session_id, reviewed.flags)
                changes.ended(session, reviewed)


async def _store_flags(
    connection: AsyncConnection, session_id: uuid.UUID, flags: tuple[str, ...]
) -> None:
    await connection.execute(
        sa.update(sessions).where(sessions.c.session_id == session_id).values(flags=list(flags))
    )
