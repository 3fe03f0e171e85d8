"""Starts and stops, each within the transaction of a batch."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.sessions import (
    AuthorizationStatus,
    Session,
    Start,
    StartAnswer,
    StartKey,
    Stop,
)
from session_service.store.rows import end_row, start_info, start_row, to_session
from session_service.store.tables import sessions

_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('id_tag ' || :key, 0))")


async def find_start(connection: AsyncConnection, key: StartKey) -> StartAnswer | None:
    """Return the answer that was given to this start, if it was received before."""
    row = (await connection.execute(_start_query(key))).mappings().one_or_none()
    return _answer(row) if row else None


async def lock_tags(connection: AsyncConnection, starts: Iterable[Start]) -> None:
    """Let one transaction at a time count the sessions of a tag that has a limit.

    The order of the locks is the same for all, so that no two transactions wait for each other.
    """
    limited = {start.key.id_tag.lower() for start in starts if start.check.max_active_transactions}
    for key in sorted(limited):
        await connection.execute(_LOCK, {"key": key})


async def store_start(connection: AsyncConnection, start: Start) -> StartAnswer:
    """Keep a start, whose tag is locked if it has a limit, and return its answer.

    What is found out about a repeat counts for nothing: the row of the first time is there.
    """
    info = start.answered(await _running(connection, start))
    insert = (
        pg.insert(sessions)
        .values(start_row(start, info))
        .on_conflict_do_nothing()
        .returning(sessions.c.transaction_id)
    )
    transaction_id = await connection.scalar(insert)
    if transaction_id is not None:
        return StartAnswer(transaction_id, info)
    row = (await connection.execute(_start_query(start.key))).mappings().one()
    return _answer(row)


async def find_to_stop(connection: AsyncConnection, stop: Stop) -> Session | None:
    """Return the session that a stop names, locked against other stops."""
    query = (
        sa.select(sessions)
        .where(
            sessions.c.transaction_id == stop.transaction_id,
            sessions.c.charge_point_id == stop.charge_point_id,
        )
        .with_for_update()
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return to_session(row) if row else None


async def store_end(connection: AsyncConnection, session: Session, stop: Stop) -> None:
    """Keep how a session ended."""
    assert session.end is not None
    await connection.execute(
        sa.update(sessions)
        .where(sessions.c.session_id == session.id)
        .values(end_row(session, session.end, stop))
    )


async def _running(connection: AsyncConnection, start: Start) -> int:
    """Count the accepted sessions that run with the tag; not counted where nobody asks."""
    if not start.check.max_active_transactions:
        return 0
    query = (
        sa.select(sa.func.count())
        .select_from(sessions)
        .where(
            _same_tag(start.key.id_tag),
            sessions.c.stop_receive_time.is_(None),
            sessions.c.authorization_status == sa.literal_column(_ACCEPTED),
        )
    )
    return await connection.scalar(query) or 0


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


_ACCEPTED = f"'{AuthorizationStatus.ACCEPTED.value}'"
