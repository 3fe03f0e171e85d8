"""Starts and stops, each within the transaction of a batch."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.ends import Source
from session_service.domain.facts import (
    AuthorizationStatus,
    Receipt,
    Start,
    StartAnswer,
    StartKey,
    Stop,
)
from session_service.domain.flags import Flag
from session_service.domain.quarantine import QuarantineEntry
from session_service.domain.registers import registers
from session_service.domain.sessions import Session
from session_service.store.events import Changes
from session_service.store.readings import newest_values, with_begin
from session_service.store.rows import end_row, start_info, start_row, to_session
from session_service.store.tables import quarantine, sessions

# One by one, in the order of the array.
_LOCK = sa.text(
    "SELECT pg_advisory_xact_lock(hashtextextended(key, 0))"
    " FROM unnest(CAST(:keys AS text[])) AS key"
)
_LONGEST = timedelta(days=30)


async def find_start(connection: AsyncConnection, key: StartKey) -> StartAnswer | None:
    """Return the answer that was given to this start, if it was received before."""
    row = (await connection.execute(_start_query(key))).mappings().one_or_none()
    return _answer(row) if row else None


async def lock_places(connection: AsyncConnection, starts: Sequence[Start]) -> None:
    """Let one transaction at a time begin sessions on a connector, or with a tag that has a limit.

    So each sees all that began there before. The order of the locks is the same for all, so that
    no two transactions wait for each other.
    """
    keys = {f"connector {start.charge_point_id} {start.key.connector_id}" for start in starts}
    keys |= {
        f"id_tag {start.key.id_tag.lower()}"
        for start in starts
        if start.check.max_active_transactions
    }
    if keys:
        await connection.execute(_LOCK, {"keys": sorted(keys)})


async def store_start(changes: Changes, start: Start) -> tuple[StartAnswer, Session | None]:
    """Keep a start, whose place is locked; return its answer and its new session.

    A repeat makes none, and what is found out about it counts for nothing: the row of the first
    time is there.
    """
    connection = changes.connection
    info = start.answered(await _running(connection, start))
    insert = (
        pg.insert(sessions)
        .values(start_row(start, info))
        .on_conflict_do_nothing()
        .returning(sessions)
    )
    row = (await connection.execute(insert)).mappings().one_or_none()
    if row is not None:
        session = to_session(row)
        changes.started(session)
        return _answer(row), session
    row = (await connection.execute(_start_query(start.key))).mappings().one()
    return _answer(row), None


async def find_named(connection: AsyncConnection, stop: Stop) -> Session | None:
    """Return the session that a stop names with its last reading, locked against other ends."""
    found = await _locked(
        connection,
        sessions.c.transaction_id == stop.transaction_id,
        sessions.c.charge_point_id == stop.charge_point_id,
    )
    return found[0] if found else None


async def find_locked(connection: AsyncConnection, session_id: uuid.UUID) -> Session | None:
    """Return a session with its last reading, locked against other ends."""
    found = await _locked(connection, sessions.c.session_id == session_id)
    return found[0] if found else None


async def find_open(connection: AsyncConnection, stop: Stop) -> Sequence[Session]:
    """Return the sessions of a charge point that a stop without an id may end, locked.

    These are the ones that run, and those that the next one on their connector has ended, if that
    began later than the stop says.
    """
    following = sessions.alias()
    began_by_then = sa.exists().where(
        following.c.charge_point_id == sessions.c.charge_point_id,
        following.c.connector_id == sessions.c.connector_id,
        following.c.start_time > sessions.c.start_time,
        following.c.start_time <= stop.end_time,
    )
    may_be_late = sa.and_(
        _is_inferred(),
        sessions.c.flags.contains([Flag.STOP_MISSING_NEXT_START.value]),
        sessions.c.start_time_reported,
        sessions.c.start_time.between(stop.end_time - _LONGEST, stop.end_time),
        ~began_by_then,
    )
    return await _locked(
        connection,
        sessions.c.charge_point_id == stop.charge_point_id,
        sa.or_(sessions.c.stop_receive_time.is_(None), may_be_late),
    )


async def find_superseded(connection: AsyncConnection, begun: Session) -> Sequence[Session]:
    """Return the sessions on a connector that a new one has ended, locked.

    These are the ones that began before it and still run, and those whose inferred end lies behind
    its begin: it came later than the one that had ended them.
    """
    ends: list[sa.ColumnElement[bool]] = [sessions.c.stop_receive_time.is_(None)]
    if begun.start_is_believed:
        ends.append(sa.and_(_is_inferred(), sessions.c.stop_time > begun.start_time))
    return await _locked(
        connection,
        *_on_connector_of(begun),
        sa.or_(*ends),
        sessions.c.start_time <= begun.start_time,
        sessions.c.session_id != begun.id,
    )


async def find_following(connection: AsyncConnection, begun: Session) -> Session | None:
    """Return the next session on the connector of a new one, which is then late.

    It had begun before the other was received. So what begins now, by a clock that is right, is
    never late, however another was dated. One that ended before it began tells a wrong clock.
    """
    if not begun.start_is_believed:
        return None
    query = (
        sa.select(sessions)
        .where(
            *_on_connector_of(begun),
            sessions.c.start_time_reported,
            sessions.c.start_time > begun.start_time,
            sessions.c.start_receive_time > begun.start_time,
            sa.func.coalesce(sessions.c.stop_time >= sessions.c.start_time, sa.true()),
        )
        .order_by(sessions.c.start_time, sessions.c.meter_start)
        .limit(1)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return to_session(row) if row else None


async def find_next_begin(connection: AsyncConnection, session: Session) -> datetime | None:
    """Return when the next session began on the connector of a session; None: there is none."""
    order = (sessions.c.start_time, sessions.c.transaction_id)
    query = (
        sa.select(sessions.c.start_time)
        .where(
            *_on_connector_of(session),
            sa.tuple_(*order) > (session.start_time, session.transaction_id),
        )
        .order_by(*order)
        .limit(1)
    )
    return await connection.scalar(query)


async def find_given(connection: AsyncConnection, entry: QuarantineEntry) -> Session | None:
    """Return the session to which an entry was given that says the same; None: to none so far."""
    query = (
        sa.select(sessions)
        .join(quarantine, quarantine.c.session_id == sessions.c.session_id)
        .where(
            quarantine.c.charge_point_id == entry.charge_point_id,
            quarantine.c.reason == entry.reason.value,
            quarantine.c.digest == entry.digest,
        )
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return to_session(row) if row else None


async def store_end(
    changes: Changes, before: Session, ended: Session, receipt: Receipt | None = None
) -> None:
    """Keep how a locked session ended; the receipt is that of its stop, if there was one."""
    await changes.connection.execute(
        sa.update(sessions).where(sessions.c.session_id == ended.id).values(end_row(ended, receipt))
    )
    changes.ended(before, ended)


async def _locked(
    connection: AsyncConnection, *conditions: sa.ColumnElement[bool]
) -> Sequence[Session]:
    query = sa.select(sessions).where(*conditions).order_by(sessions.c.session_id).with_for_update()
    rows = (await connection.execute(query)).mappings().all()
    values = await newest_values(connection, [row["session_id"] for row in rows])
    found = await with_begin(connection, [to_session(row) for row in rows])
    return [session.read(registers(values.get(session.id, ()))) for session in found]


async def _running(connection: AsyncConnection, start: Start) -> int:
    """Count the accepted sessions that run with the tag; not counted where nobody asks.

    One on its own connector does not run beside it: the earlier of the two has ended.
    """
    if not start.check.max_active_transactions:
        return 0
    query = (
        sa.select(sa.func.count())
        .select_from(sessions)
        .where(
            _same_tag(start.key.id_tag),
            sessions.c.stop_receive_time.is_(None),
            sessions.c.authorization_status == sa.literal_column(_ACCEPTED),
            ~sa.and_(
                sessions.c.charge_point_id == start.charge_point_id,
                sessions.c.connector_id == start.key.connector_id,
            ),
        )
    )
    return await connection.scalar(query) or 0


def _on_connector_of(session: Session) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        sessions.c.charge_point_id == session.charge_point_id,
        sessions.c.connector_id == session.connector_id,
    )


def _is_inferred() -> sa.ColumnElement[bool]:
    return sa.and_(
        sessions.c.stop_receive_time.is_not(None),  # as the indexes of what has ended say it
        sessions.c.stop_source == sa.literal_column(_INFERRED),
    )


def _same_tag(id_tag: str) -> sa.ColumnElement[bool]:
    key = id_tag.lower()
    return sa.and_(
        sa.func.md5(sessions.c.id_tag_key) == sa.func.md5(key), sessions.c.id_tag_key == key
    )


def _start_query(key: StartKey) -> sa.Select[Any]:
    time = (
        sa.and_(sessions.c.start_time_reported, sessions.c.start_time == key.time)
        if key.time
        else sa.and_(~sessions.c.start_time_reported, sessions.c.stop_receive_time.is_(None))
    )
    return sa.select(sessions).where(
        sessions.c.charge_point_id == key.charge_point_id,
        sessions.c.connector_id == key.connector_id,
        sessions.c.meter_start == key.meter_start,
        sa.func.md5(sessions.c.id_tag) == sa.func.md5(key.id_tag),
        time,
    )


def _answer(row: Mapping[Any, Any]) -> StartAnswer:
    return StartAnswer(row["transaction_id"], start_info(row))


_INFERRED = f"'{Source.INFERRED.value}'"
_ACCEPTED = f"'{AuthorizationStatus.ACCEPTED.value}'"
