"""What could not be placed, and what operators make of it."""

import uuid

from servicekit.clock import Clock
from servicekit.pagination import Page, PageRequest
from session_service.domain.quarantine import (
    QuarantineEntry,
    QuarantineEntryNotFound,
    QuarantineFilter,
    Resolution,
)
from session_service.ports import QuarantineStore


class Quarantine:
    """Shows quarantine entries and resolves them."""

    def __init__(self, store: QuarantineStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def get(self, entry_id: uuid.UUID) -> QuarantineEntry:
        """Return an entry.

        Raises:
            QuarantineEntryNotFound: There is none with this id.
        """
        entry = await self._store.find(entry_id)
        if entry is None:
            raise QuarantineEntryNotFound(
                f"There is no quarantine entry {entry_id}.", quarantine_entry=entry_id
            )
        return entry

    async def list(self, page: PageRequest, wanted: QuarantineFilter) -> Page[QuarantineEntry]:
        """Return a page of entries, newest first."""
        return await self._store.list(page, wanted)

    async def resolve(
        self, entry_id: uuid.UUID, comment: str, resolved_by: str, session_id: uuid.UUID | None
    ) -> QuarantineEntry:
        """Resolve an entry; see the port for what it raises."""
        resolution = Resolution(self._clock.now(), comment, resolved_by, session_id)
        return await self._store.resolve(entry_id, resolution)
