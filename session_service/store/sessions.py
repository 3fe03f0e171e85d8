"""Shows what was kept."""

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from servicekit.pagination import Page, PageRequest
from session_service.domain.registers import registers
from session_service.domain.sessions import Session, SessionFilter, SessionState
from session_service.domain.summary import MeterSummary, summary
from session_service.store.paging import count, position
from session_service.store.progress import read_sessions
from session_service.store.readings import MOST, newest_values, with_begin
from session_service.store.rows import to_session
from session_service.store.tables import sessions


class PostgresSessionStore:
    """Shows what is in the schema of session_service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, session_id: uuid.UUID) -> Session | None:
        """Return the session with this id, if there is one."""
        query = sa.select(sessions).where(sessions.c.session_id == session_id)
        async with self._database.statements() as connection:
            found = await _read(connection, query)
        return found[0] if found else None

    async def show(self, session_id: uuid.UUID) -> tuple[Session, MeterSummary] | None:
        """Return the session with this id, if there is one, and the sum of its meter values."""
        query = sa.select(sessions).where(sessions.c.session_id == session_id)
        async with self._database.statements() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                return None
            values = (await newest_values(connection, [session_id], MOST)).get(session_id, [])
            (session,) = await with_begin(connection, [to_session(row)])
        if session.follows_readings:
            session = session.read(registers(values)).followed()
        return session, summary(values, session)

    async def list(self, page: PageRequest, wanted: SessionFilter) -> Page[Session]:
        """Return a page of sessions, newest first."""
        conditions = _conditions(wanted)
        by_start = _is_by_start(wanted)
        time = sessions.c.start_time if by_start else sessions.c.create_time
        order = sa.tuple_(time, sessions.c.session_id)
        query = (
            sa.select(sessions)
            .where(*conditions, order < position(page) if page.after else sa.true())
            .order_by(time.desc(), sessions.c.session_id.desc())
            .limit(page.size + 1)
        )
        async with self._database.statements() as connection:
            total = await connection.scalar(count(sessions, conditions))
            rows = await _read(connection, query)
        return page.page(rows, total or 0, _start_key if by_start else _create_key)


async def _read(connection: AsyncConnection, query: sa.Select[Any]) -> Sequence[Session]:
    """Read sessions, and the registers of those that run or have ended without one."""
    rows = (await connection.execute(query)).mappings().all()
    return await read_sessions(
        connection, await with_begin(connection, [to_session(row) for row in rows])
    )


def _is_by_start(wanted: SessionFilter) -> bool:
    """Tell whether sessions come in the order of their start: where a range of it is asked for.

    Then one index finds them and has them in order, however far back the range lies.
    """
    return wanted.start_time_from is not None or wanted.start_time_until is not None


def _conditions(wanted: SessionFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.charge_point_id is not None:
        conditions.append(sessions.c.charge_point_id == wanted.charge_point_id)
    if wanted.id_tag is not None:
        key = wanted.id_tag.lower()
        conditions.append(sa.func.md5(sessions.c.id_tag_key) == sa.func.md5(key))
    if wanted.state is not None:
        runs = sessions.c.stop_receive_time.is_(None)
        conditions.append(runs if wanted.state is SessionState.ACTIVE else ~runs)
    if wanted.start_time_from is not None:
        conditions.append(sessions.c.start_time >= wanted.start_time_from)
    if wanted.start_time_until is not None:
        conditions.append(sessions.c.start_time < wanted.start_time_until)
    return conditions


def _create_key(session: Session) -> tuple[str, str]:
    return session.create_time.isoformat(), str(session.id)


def _start_key(session: Session) -> tuple[str, str]:
    return session.start_time.isoformat(), str(session.id)
