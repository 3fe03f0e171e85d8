"""The table of events, and the order in which they are read.

An event is appended with its place open. Places are given afterwards, by one transaction at a time,
to events that are committed: so places become visible in their order, without gaps, and whoever has
read up to one has missed nothing. Writers wait for nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from servicekit.outbox.cursor import Cursor, EventCursorExpired

CREATE = """
CREATE TABLE outbox (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position bigint UNIQUE,  -- null: has no place yet
    topic text NOT NULL,
    key text NOT NULL,
    payload bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_unplaced ON outbox (event_id) WHERE position IS NULL;

CREATE TABLE outbox_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    origin uuid NOT NULL DEFAULT gen_random_uuid(),
    newest bigint NOT NULL DEFAULT 0,   -- the last place that was given
    horizon bigint NOT NULL DEFAULT 0   -- the last place whose event was deleted
);
INSERT INTO outbox_state DEFAULT VALUES;

-- Each statement sees what was committed before it: what is placed is what no earlier call saw.
-- Of two events of one thing the second has the greater id, for its transaction waited for the
-- row, and is visible only with the first: they are placed in their order.
CREATE FUNCTION place_events(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    last bigint;
    placed integer;
BEGIN
    IF NOT EXISTS (SELECT FROM outbox WHERE position IS NULL) THEN
        RETURN 0;
    END IF;
    SELECT newest INTO STRICT last FROM outbox_state FOR UPDATE;
    UPDATE outbox SET position = last + waiting.number
    FROM (
        SELECT event_id, row_number() OVER (ORDER BY event_id) AS number
        FROM outbox WHERE position IS NULL ORDER BY event_id LIMIT most
    ) AS waiting
    WHERE outbox.event_id = waiting.event_id;
    GET DIAGNOSTICS placed = ROW_COUNT;
    UPDATE outbox_state SET newest = last + placed;
    RETURN placed;
END
$$;
"""
"""What a migration executes to give a schema its outbox."""

DROP = """
DROP FUNCTION place_events(integer);
DROP TABLE outbox, outbox_state;
"""

_APPEND = sa.text(
    """
INSERT INTO outbox (topic, key, payload)
SELECT topic, key, payload
FROM unnest(CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:payloads AS bytea[]))
    WITH ORDINALITY AS event (topic, key, payload, number)
ORDER BY number
"""
)
_PLACE = sa.text("SELECT place_events(:most)")
_READ = sa.text(
    """
SELECT position, topic, key, payload, create_time FROM outbox
WHERE position > :after ORDER BY position LIMIT :most
"""
)
# A database that was restored goes on from an earlier state and gives places a second time: its
# cluster, or the timeline of its log, is another one then.
_STATE = sa.text(
    """
SELECT
    left(md5(concat_ws(
        ' ', origin, system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8)
    )), 16) AS origin,
    newest, horizon
FROM outbox_state, pg_control_system()
"""
)
_LOCK = sa.text("SELECT newest FROM outbox_state FOR UPDATE")
# Only what lies before every younger event goes; a statement after the lock sees all of them.
_MOVE_HORIZON = sa.text(
    """
UPDATE outbox_state SET horizon = least(horizon + :most, coalesce(
    (SELECT min(position) - 1 FROM outbox WHERE create_time >= :before), newest
))
RETURNING horizon
"""
)
_DELETE = sa.text("DELETE FROM outbox WHERE position <= :horizon")
_MOST = 10_000
"""Events that one statement places or deletes."""


@dataclass(frozen=True)
class Event:
    """What is to be told.

    Attributes:
        topic: What kind of event it is.
        key: What it is about.
        payload: What there is to know about it, in a form that its readers know.
    """

    topic: str
    key: str
    payload: bytes


@dataclass(frozen=True)
class PlacedEvent(Event):
    """An event in its place, and when its transaction began."""

    position: int
    create_time: datetime


@dataclass(frozen=True)
class State:
    """Which events there are.

    Attributes:
        origin: The history of the database; positions of another one mean nothing here.
        newest: The position of the last event.
        horizon: The position of the last event that was deleted.
    """

    origin: str
    newest: int
    horizon: int

    def check(self, cursor: Cursor) -> None:
        """Make sure that all events behind a cursor are there.

        Raises:
            EventCursorExpired: They are not, or nobody knows.
        """
        if cursor.origin != self.origin or not self.horizon <= cursor.position <= self.newest:
            raise EventCursorExpired(
                "Events behind the cursor are no longer kept; list what there is and watch anew,"
                " without a cursor."
            )


async def append(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Keep events, in the transaction of what they tell of and after it; a rollback takes both."""
    if events:
        values = {
            "topics": [event.topic for event in events],
            "keys": [event.key for event in events],
            "payloads": [event.payload for event in events],
        }
        await connection.execute(_APPEND, values)


class EventTable:
    """Reads the events of a schema; every method may raise `DatabaseUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settle(self) -> State:
        """Place all that is committed, and return which events there are then."""
        while await self._place() == _MOST:
            pass
        async with self._database.transaction() as connection:
            return await _state(connection)

    async def follow(self, after: int, most: int) -> tuple[State, list[PlacedEvent]]:
        """Place what is committed; return the events behind a position as `read` does."""
        await self._place()
        return await self.read(after, most)

    async def read(self, after: int, most: int) -> tuple[State, list[PlacedEvent]]:
        """Return the events behind a position, so many at most, and which there were then.

        The state is read last: what it does not count as deleted was there before.
        """
        async with self._database.transaction() as connection:
            rows = await connection.execute(_READ, {"after": after, "most": most})
            events = [PlacedEvent(**row) for row in rows.mappings()]
            return await _state(connection), events

    async def forget(self, before: datetime) -> None:
        """Delete the events of transactions that began before a time, up to the first younger."""
        await self.settle()
        while await self._forget_some(before) == _MOST:
            pass

    async def _place(self) -> int:
        async with self._database.transaction() as connection:
            return await connection.scalar(_PLACE, {"most": _MOST}) or 0

    async def _forget_some(self, before: datetime) -> int:
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK)
            values = {"before": before, "most": _MOST}
            horizon = await connection.scalar(_MOVE_HORIZON, values)
            return (await connection.execute(_DELETE, {"horizon": horizon})).rowcount


async def _state(connection: AsyncConnection) -> State:
    row = (await connection.execute(_STATE)).mappings().one()
    return State(**row)
