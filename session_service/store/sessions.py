"""Shows what was kept."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from servicekit.pagination import Page, PageRequest
from session_service.domain.meter_values import ENERGY_REGISTER, register_wh
from session_service.domain.quarantine import QuarantineEntry
from session_service.domain.sessions import Session, SessionFilter, SessionState
from session_service.store.paging import position
from session_service.store.rows import to_entry, to_session
from session_service.store.tables import quarantine, sessions

_LATEST_REGISTERS = sa.text(
    """
SELECT wanted.session_id, latest.number, latest.unit
FROM unnest(CAST(:session_ids AS uuid[])) AS wanted (session_id)
CROSS JOIN LATERAL (
    SELECT sample.number, sample.unit
    FROM meter_values AS m
    JOIN layouts AS l USING (layout_id)
    CROSS JOIN LATERAL
        unnest(l.measurands, l.phases, l.units, l.contexts, l.locations, m.numbers)
        AS sample (measurand, phase, unit, context, location, number)
    WHERE m.session_id = wanted.session_id
        AND sample.measurand = :measurand
        AND sample.location = 'Outlet'
        AND sample.phase IS NULL
        AND sample.number IS NOT NULL
    ORDER BY m.sample_time DESC, m.digest DESC, sample.context = 'Transaction.Begin'
    LIMIT 1
) AS latest
"""
)


class PostgresSessionStore:
    """Shows what is in the schema of session_service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, session_id: uuid.UUID) -> Session | None:
        """Return the session with this id, if there is one."""
        query = sa.select(sessions).where(sessions.c.session_id == session_id)
        async with self._database.transaction() as connection:
            found = await _read(connection, query)
        return found[0] if found else None

    async def list(self, page: PageRequest, wanted: SessionFilter) -> Page[Session]:
        """Return a page of sessions, newest first."""
        conditions = _conditions(wanted)
        count = sa.select(sa.func.count()).select_from(sessions).where(*conditions)
        order = sa.tuple_(sessions.c.create_time, sessions.c.session_id)
        query = (
            sa.select(sessions)
            .where(*conditions, order < position(page) if page.after else sa.true())
            .order_by(sessions.c.create_time.desc(), sessions.c.session_id.desc())
            .limit(page.size + 1)
        )
        async with self._database.transaction() as connection:
            total = await connection.scalar(count)
            rows = await _read(connection, query)
        return page.page(rows, total or 0, _session_key)

    async def list_quarantine(
        self, page: PageRequest, charge_point_id: str | None
    ) -> Page[QuarantineEntry]:
        """Return a page of quarantine entries, newest first, of one charge point or all."""
        of_charge_point = (
            quarantine.c.charge_point_id == charge_point_id if charge_point_id else sa.true()
        )
        count = sa.select(sa.func.count()).select_from(quarantine).where(of_charge_point)
        order = sa.tuple_(quarantine.c.receive_time, quarantine.c.entry_id)
        query = (
            sa.select(quarantine)
            .where(of_charge_point, order < position(page) if page.after else sa.true())
            .order_by(quarantine.c.receive_time.desc(), quarantine.c.entry_id.desc())
            .limit(page.size + 1)
        )
        async with self._database.transaction() as connection:
            total = await connection.scalar(count)
            rows = (await connection.execute(query)).mappings().all()
        return page.page([to_entry(row) for row in rows], total or 0, _entry_key)


async def _read(connection: AsyncConnection, query: sa.Select[Any]) -> Sequence[Session]:
    """Read sessions, and the newest register of those that run."""
    rows = (await connection.execute(query)).mappings().all()
    running = [row["session_id"] for row in rows if row["stop_receive_time"] is None]
    registers = await _latest_registers(connection, running) if running else {}
    return [to_session(row, registers.get(row["session_id"])) for row in rows]


async def _latest_registers(
    connection: AsyncConnection, session_ids: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, Decimal]:
    values = {"session_ids": list(session_ids), "measurand": ENERGY_REGISTER}
    rows = await connection.execute(_LATEST_REGISTERS, values)
    return {session_id: register_wh(number, unit) for session_id, number, unit in rows}


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


def _session_key(session: Session) -> tuple[str, str]:
    return session.create_time.isoformat(), str(session.id)


def _entry_key(entry: QuarantineEntry) -> tuple[str, str]:
    return entry.receive_time.isoformat(), str(entry.id)
