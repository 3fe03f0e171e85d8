"""Quarantine entries, kept within the transaction of a batch."""

from collections.abc import Sequence

from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.quarantine import QuarantineEntry
from session_service.store.rows import entry_row
from session_service.store.tables import quarantine


async def keep_entry(connection: AsyncConnection, entry: QuarantineEntry) -> bool:
    """Keep an entry; tell whether it is new, and not a repeat of what was kept before."""
    insert = pg.insert(quarantine).values(entry_row(entry)).on_conflict_do_nothing()
    return await connection.scalar(insert.returning(quarantine.c.entry_id)) is not None


async def store_entries(connection: AsyncConnection, entries: Sequence[QuarantineEntry]) -> None:
    """Keep the entries that are not there yet."""
    if entries:
        insert = pg.insert(quarantine).on_conflict_do_nothing()
        await connection.execute(insert, [entry_row(entry) for entry in entries])
