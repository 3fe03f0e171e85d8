"""What operators read of meters."""

import uuid

from servicekit.pagination import Page, PageRequest
from session_service.domain.meter_values import MeterValueFilter, StoredMeterValue
from session_service.ports import MeterValueStore
from session_service.use_cases.sessions import Sessions


class MeterValues:
    """Shows what was measured."""

    def __init__(self, sessions: Sessions, store: MeterValueStore) -> None:
        self._sessions, self._store = sessions, store

    async def list(self, page: PageRequest, wanted: MeterValueFilter) -> Page[StoredMeterValue]:
        """Return a page of the meter values of a session or a connector, by time.

        Raises:
            SessionNotFound: There is no session with this id.
        """
        if isinstance(wanted.parent, uuid.UUID):
            await self._sessions.get(wanted.parent)
        return await self._store.list(page, wanted)
