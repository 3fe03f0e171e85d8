"""Shows what could not be placed, and keeps what became of it."""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from servicekit.errors import InvalidRequest, Violation
from servicekit.ids import IdSource
from servicekit.pagination import Page, PageRequest, weight
from session_service.domain.facts import Stop
from session_service.domain.quarantine import (
    QuarantineEntry,
    QuarantineEntryNotFound,
    QuarantineFilter,
    QuarantineState,
    Resolution,
)
from session_service.domain.sessions import SessionNotFound
from session_service.store.batch import Batch
from session_service.store.events import Changes, PostgresEventLog
from session_service.store.orphans import orphan_in, settle
from session_service.store.paging import count, position
from session_service.store.rows import to_entry
from session_service.store.tables import quarantine
from session_service.store.transactions import find_locked


class PostgresQuarantine:
    """The quarantine in the schema of session_service."""

    def __init__(self, database: Database, events: PostgresEventLog, new_id: IdSource) -> None:
        self._database, self._events, self._new_id = database, events, new_id

    async def find(self, entry_id: uuid.UUID) -> QuarantineEntry | None:
        """Return the entry with this id, if there is one."""
        query = sa.select(quarantine).where(quarantine.c.entry_id == entry_id)
        async with self._database.statements() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return to_entry(row) if row else None

    async def list(self, page: PageRequest, wanted: QuarantineFilter) -> Page[QuarantineEntry]:
        """Return a page of entries, newest first."""
        conditions = _conditions(wanted)
        order = sa.tuple_(quarantine.c.receive_time, quarantine.c.entry_id)
        query = (
            sa.select(quarantine)
            .where(*conditions, order < position(page) if page.after else sa.true())
            .order_by(quarantine.c.receive_time.desc(), quarantine.c.entry_id.desc())
            .limit(page.size + 1)
        )
        async with self._database.statements() as connection:
            total = await connection.scalar(count(quarantine, conditions))
            rows = (await connection.execute(query)).mappings().all()
        return page.page([to_entry(row) for row in rows], total or 0, _entry_key, _weigh)

    async def resolve(self, entry_id: uuid.UUID, resolution: Resolution) -> QuarantineEntry:
        """Resolve an entry; the stop that it holds ends the session that is named."""
        async with self._events.transaction() as changes:
            stop = await orphan_in(changes.connection, entry_id)  # locked first, as by a start
            entry = await _locked(changes.connection, entry_id)
            resolved = entry.resolved(resolution)
            if entry.resolution is None:
                await self._place(changes, entry, stop, resolution)
                await settle(changes.connection, entry_id, resolution)
        return resolved

    async def _place(
        self,
        changes: Changes,
        entry: QuarantineEntry,
        stop: Stop | None,
        resolution: Resolution,
    ) -> None:
        if resolution.session_id is None:
            return
        session = await find_locked(changes.connection, resolution.session_id)
        if session is None:
            raise SessionNotFound(
                f"There is no session {resolution.session_id}.", session=resolution.session_id
            )
        if session.charge_point_id != entry.charge_point_id:
            text = f"must be a session of chargePoints/{entry.charge_point_id}"
            raise InvalidRequest([Violation("session", text)])
        if stop is not None:
            batch = Batch(changes, self._new_id)
            await batch.end(session.open_to_a_stop(), stop)
            await batch.finish()


async def _locked(connection: AsyncConnection, entry_id: uuid.UUID) -> QuarantineEntry:
    query = sa.select(quarantine).where(quarantine.c.entry_id == entry_id).with_for_update()
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise QuarantineEntryNotFound(
            f"There is no quarantine entry {entry_id}.", quarantine_entry=entry_id
        )
    return to_entry(row)


def _conditions(wanted: QuarantineFilter) -> Sequence[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.charge_point_id is not None:
        conditions.append(quarantine.c.charge_point_id == wanted.charge_point_id)
    if wanted.reason is not None:
        conditions.append(quarantine.c.reason == wanted.reason.value)
    if wanted.state is not None:
        is_open = quarantine.c.resolve_time.is_(None)
        conditions.append(is_open if wanted.state is QuarantineState.OPEN else ~is_open)
    return conditions


def _weigh(entry: QuarantineEntry) -> int:
    return weight(entry.raw_text, entry.detail)


def _entry_key(entry: QuarantineEntry) -> tuple[str, str]:
    return entry.receive_time.isoformat(), str(entry.id)
