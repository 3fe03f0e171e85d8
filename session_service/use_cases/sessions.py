"""What operators read."""

import uuid
from typing import TypeVar

from servicekit.pagination import Page, PageRequest
from session_service.domain.sessions import Session, SessionFilter, SessionNotFound
from session_service.domain.summary import MeterSummary
from session_service.ports import SessionStore

Found = TypeVar("Found")


class Sessions:
    """Shows sessions and what belongs to them."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def get(self, session_id: uuid.UUID) -> Session:
        """Return a session.

        Raises:
            SessionNotFound: There is none with this id.
        """
        return _found(session_id, await self._store.find(session_id))

    async def show(self, session_id: uuid.UUID) -> tuple[Session, MeterSummary]:
        """Return a session and the sum of its meter values.

        Raises:
            SessionNotFound: There is none with this id.
        """
        return _found(session_id, await self._store.show(session_id))

    async def list(self, page: PageRequest, wanted: SessionFilter) -> Page[Session]:
        """Return a page of sessions, newest first."""
        return await self._store.list(page, wanted)


def _found(session_id: uuid.UUID, found: Found | None) -> Found:
    if found is None:
        raise SessionNotFound(f"There is no session {session_id}.", session=session_id)
    return found
