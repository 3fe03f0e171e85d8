"""Ends that no stop made: given up, followed by later readings, or set by an operator."""

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from servicekit.database import Database
from session_service.domain.ends import Closing
from session_service.domain.flags import Flag
from session_service.domain.sessions import Session, SessionNotFound
from session_service.domain.silence import QuietSession
from session_service.store.events import PostgresEventLog
from session_service.store.transactions import find_locked, find_next_begin, store_end

# An index finds the newest value by the clock of the charge point, which is not the last that was
# received when that clock was set back: of what seems to be quiet, all values are read.
_QUIET = """
SELECT s.session_id, s.charge_point_id, greatest(s.start_receive_time, (
    SELECT max(m.receive_time) FROM meter_values AS m WHERE m.session_id = s.session_id
)) AS last_sign
FROM sessions AS s
LEFT JOIN LATERAL (
    SELECT m.receive_time FROM meter_values AS m
    WHERE m.session_id = s.session_id
    ORDER BY m.sample_time DESC
    LIMIT 1
) AS last ON TRUE
WHERE s.stop_receive_time IS NULL
    AND greatest(s.start_receive_time, last.receive_time) < :before
"""
_QUIET_PAGE = sa.text(f"{_QUIET} AND s.session_id > :after ORDER BY s.session_id LIMIT :most")
_QUIET_ONE = sa.text(f"{_QUIET} AND s.session_id = :session_id")
# What was measured when the next session on the connector had begun moves no end: it is that one's.
_OUTLIVED = sa.text(
    """
SELECT s.session_id
FROM sessions AS s
LEFT JOIN LATERAL (
    SELECT newer.start_time FROM sessions AS newer
    WHERE newer.charge_point_id = s.charge_point_id AND newer.connector_id = s.connector_id
        AND (newer.start_time, newer.transaction_id) > (s.start_time, s.transaction_id)
    ORDER BY newer.start_time, newer.transaction_id
    LIMIT 1
) AS next ON TRUE
WHERE s.stop_source = 'INFERRED' AND s.stop_receive_time > :since
    AND EXISTS (
        SELECT FROM meter_values AS m
        WHERE m.session_id = s.session_id AND m.sample_time > s.stop_time
            AND m.sample_time < coalesce(next.start_time, 'infinity')
    )
    AND s.session_id > :after
ORDER BY s.session_id
LIMIT :most
"""
)


class PostgresEndings:
    """Ends sessions in the schema of session_service."""

    def __init__(self, database: Database, events: PostgresEventLog) -> None:
        self._database, self._events = database, events

    async def quiet(self, before: datetime, after: uuid.UUID, most: int) -> Sequence[QuietSession]:
        """Return running sessions of which nothing was heard, ordered by their ids."""
        values = {"before": before, "after": after, "most": most}
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_QUIET_PAGE, values)).all()
        return [QuietSession(*row) for row in rows]

    async def give_up(self, quiet: QuietSession, why: Flag, now: datetime) -> bool:
        """End a session unless something was heard of it meanwhile; tell whether it was ended."""
        values = {"before": now, "session_id": quiet.session_id}
        async with self._events.transaction() as changes:
            session = await find_locked(changes.connection, quiet.session_id)
            row = (await changes.connection.execute(_QUIET_ONE, values)).one_or_none()
            if session is None or row is None or QuietSession(*row) != quiet:
                return False
            await store_end(changes, session, session.given_up(why, now))
        return True

    async def outlived(self, since: datetime, after: uuid.UUID, most: int) -> Sequence[uuid.UUID]:
        """Return sessions whose inferred end has readings beyond it, ordered by their ids."""
        values = {"since": since, "after": after, "most": most}
        async with self._database.transaction() as connection:
            return (await connection.scalars(_OUTLIVED, values)).all()

    async def follow(self, session_id: uuid.UUID) -> None:
        """Move the inferred end of a session to its last reading before the next one began."""
        async with self._events.transaction() as changes:
            session = await find_locked(changes.connection, session_id)
            if session is None or not session.is_inferred:
                return
            next_begin = await find_next_begin(changes.connection, session)
            followed = session.followed(next_begin)
            if followed != session:
                await store_end(changes, session, followed)

    async def close(self, session_id: uuid.UUID, closing: Closing, now: datetime) -> Session:
        """End a session as an operator says."""
        async with self._events.transaction() as changes:
            session = await find_locked(changes.connection, session_id)
            if session is None:
                raise SessionNotFound(f"There is no session {session_id}.", session=session_id)
            closed = session.closed(closing, now)
            await store_end(changes, session, closed)
        return closed
