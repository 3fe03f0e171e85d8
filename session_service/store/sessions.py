"""Shows what was kept."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from servicekit.pagination import Page, PageRequest
from session_service.domain.meter_values import MeterValue, SampleLayout, StoredMeterValue
from session_service.domain.sessions import Session, SessionFilter, SessionState
from session_service.store.paging import position
from session_service.store.readings import latest_readings
from session_service.store.rows import to_session
from session_service.store.tables import meter_values, sessions


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

    async def list_meter_values(
        self, page: PageRequest, session_id: uuid.UUID
    ) -> Page[StoredMeterValue]:
        """Return a page of a session's meter values by time; they are not counted."""
        order = sa.tuple_(meter_values.c.sample_time, meter_values.c.digest)
        query = (
            sa.select(meter_values)
            .where(
                meter_values.c.session_id == session_id,
                order > position(page) if page.after else sa.true(),
            )
            .order_by(meter_values.c.sample_time, meter_values.c.digest)
            .limit(page.size + 1)
        )
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return page.page([_to_meter_value(row) for row in rows], 0, _meter_value_key)


async def _read(connection: AsyncConnection, query: sa.Select[Any]) -> Sequence[Session]:
    """Read sessions, and the newest register of those that run."""
    rows = (await connection.execute(query)).mappings().all()
    running = [row["session_id"] for row in rows if row["stop_receive_time"] is None]
    readings = await latest_readings(connection, running)
    return [to_session(row, readings.get(row["session_id"])) for row in rows]


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


def _meter_value_key(stored: StoredMeterValue) -> tuple[str, str]:
    return stored.meter_value.sample_time.isoformat(), stored.digest


def _to_meter_value(row: Mapping[Any, Any]) -> StoredMeterValue:
    layout = SampleLayout(
        tuple(row["measurands"]),
        tuple(row["phases"]),
        tuple(row["units"]),
        tuple(row["contexts"]),
        tuple(row["locations"]),
        tuple(row["formats"]),
    )
    raw = row["raw_values"] or [None] * len(row["numbers"])
    values = tuple(
        text if text is not None else format(number, "f")
        for text, number in zip(raw, row["numbers"], strict=True)
    )
    meter_value = MeterValue(row["sample_time"], layout, values)
    return StoredMeterValue(meter_value, row["receive_time"], str(row["digest"]))
