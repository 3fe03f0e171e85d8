"""What operators read."""

import uuid

from servicekit.pagination import Page, PageRequest
from session_service.domain.sessions import Session, SessionFilter, SessionNotFound
from session_service.ports import SessionStore


class Sessions:
    """Shows sessions and what belongs to them."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def get(self, session_id: uuid.UUID) -> Session:
        """Return a session.

        Raises:
            SessionNotFound: There is none with this id.
        """
        session = await self._store.find(session_id)
        if session is None:
            raise SessionNotFound(f"There is no session {session_id}.", session=session_id)
        return session

    async def list(self, page: PageRequest, wanted: SessionFilter) -> Page[Session]:
        """Return a page of sessions, newest first."""
        return await self._store.list(page, wanted)
