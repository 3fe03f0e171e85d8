"""What charge points report and operators read."""

import dataclasses
import uuid
from typing import Generic, TypeVar

import structlog

from servicekit.clock import Clock
from servicekit.errors import ServiceUnavailable
from servicekit.ids import IdSource
from servicekit.pagination import Page, PageRequest
from session_service.domain.meter_values import MeterValueFilter, StoredMeterValue
from session_service.domain.quarantine import QuarantineEntry
from session_service.domain.remote import Order, RemoteStart
from session_service.domain.sessions import (
    IdTagInfo,
    Receipt,
    Session,
    SessionAlreadyEnded,
    SessionFilter,
    SessionNotFound,
    Start,
    StartAnswer,
    StartKey,
    Stop,
)
from session_service.ports import (
    Authorizations,
    Commands,
    MeterValueStore,
    Records,
    SessionStore,
)

log = structlog.get_logger()

Command = TypeVar("Command")

_START_CHECK_S = 5.0
_STOP_CHECK_S = 2.0


class Transactions:
    """Keeps what charge points report; whatever returns is durable."""

    def __init__(
        self,
        records: Records,
        authorizations: Authorizations,
        clock: Clock,
        new_id: IdSource,
    ) -> None:
        self._records, self._authorizations = records, authorizations
        self._clock, self._new_id = clock, new_id

    async def start(
        self, key: StartKey, reservation_id: int | None, receipt: Receipt
    ) -> StartAnswer:
        """Begin a session; a repeat gets the answer of the first time, whatever the tag is now.

        Raises:
            ServiceUnavailable: The tag cannot be checked now.
        """
        known = await self._records.find_start(key)
        if known is not None:
            return known
        check = await self._authorizations.check(
            key.id_tag, key.charge_point_id, timeout_s=_START_CHECK_S
        )
        now = self._clock.now()
        return await self._records.start(
            Start(self._new_id(), key, reservation_id, receipt, now, check)
        )

    async def stop(self, stop: Stop) -> IdTagInfo | None:
        """End a session; tell about its tag, if there is one and auth_service is there."""
        if stop.id_tag:
            info = await self._info(stop.id_tag, stop.charge_point_id)
            stop = dataclasses.replace(stop, id_tag_info=info)
        return await self._records.stop(stop)

    async def quarantine(self, entry: QuarantineEntry) -> None:
        """Keep what could not be placed."""
        await self._records.quarantine(entry)

    async def _info(self, id_tag: str, charge_point_id: str) -> IdTagInfo | None:
        try:
            check = await self._authorizations.check(
                id_tag, charge_point_id, timeout_s=_STOP_CHECK_S
            )
        except ServiceUnavailable as error:
            log.warning("stop_tag_unchecked", charge_point=charge_point_id, error=error.message)
            return None
        return check.info


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

    async def quarantine(
        self, page: PageRequest, charge_point_id: str | None
    ) -> Page[QuarantineEntry]:
        """Return a page of what could not be placed, newest first."""
        return await self._store.list_quarantine(page, charge_point_id)


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


class RemoteControl(Generic[Command]):
    """Asks charge points to start and to stop sessions; they decide."""

    def __init__(self, sessions: Sessions, commands: Commands[Command]) -> None:
        self._sessions, self._commands = sessions, commands

    async def start(self, start: RemoteStart, order: Order) -> Command:
        """Ask for a session; see the port for what it raises."""
        return await self._commands.remote_start(start, order)

    async def stop(self, session_id: uuid.UUID, order: Order) -> Command:
        """Ask to stop a session; see the port for what else it raises.

        Raises:
            SessionNotFound: There is no session with this id.
            SessionAlreadyEnded: It was stopped before.
        """
        session = await self._sessions.get(session_id)
        if session.end is not None:
            raise SessionAlreadyEnded(
                f"Session {session_id} has ended already; nothing is to be stopped.",
                session=session_id,
            )
        return await self._commands.remote_stop(session, order)
