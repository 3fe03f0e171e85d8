"""What the use cases need from outside."""

import uuid
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from servicekit.outbox.cursor import Cursor
from servicekit.pagination import Page, PageRequest
from session_service.domain.ends import Closing
from session_service.domain.events import News
from session_service.domain.facts import (
    IdTagInfo,
    MeterReport,
    Start,
    StartAnswer,
    StartKey,
    Stop,
    TagCheck,
)
from session_service.domain.flags import Flag
from session_service.domain.meter_values import MeterValueFilter, StoredMeterValue
from session_service.domain.quarantine import QuarantineEntry, QuarantineFilter, Resolution
from session_service.domain.remote import Order, RemoteStart
from session_service.domain.sessions import Session, SessionFilter
from session_service.domain.silence import QuietSession, Sighting
from session_service.domain.summary import MeterSummary

Command_co = TypeVar("Command_co", covariant=True)
"""A command as it is shown; what it holds is device_service's matter."""


class Records(Protocol):
    """Keeps what charge points say; each method returns when it is durable.

    Raises:
        QueueFull: Too much waits to be stored.
        DatabaseUnavailable: The database is away; nothing was stored.
    """

    async def find_start(self, key: StartKey) -> StartAnswer | None:
        """Return the answer that was given to this start, if it was received before."""

    async def start(self, start: Start) -> StartAnswer:
        """Keep a start and return its answer; for a repeat, that of the first time."""

    async def stop(self, stop: Stop) -> IdTagInfo | None:
        """Keep a stop and return what to tell about its tag; for a repeat, as the first time."""

    async def quarantine(self, entry: QuarantineEntry) -> None:
        """Keep what could not be placed, once."""


class MeterRecords(Protocol):
    """Keeps what charge points measure."""

    async def report(
        self, messages: Sequence[MeterReport | QuarantineEntry]
    ) -> Sequence[Exception | None]:
        """Keep the meter values that are not there yet, each with the session it belongs to.

        An entry stands in the place of a report of which nothing could be read. Returns when each
        message is durable or refused: for each None, or what went wrong with it.

        Raises:
            QueueFull: Too much waits to be stored.
        """


class MeterValueStore(Protocol):
    """Shows meter values."""

    async def list(self, page: PageRequest, wanted: MeterValueFilter) -> Page[StoredMeterValue]:
        """Return a page of meter values by time; they are not counted."""


class SessionStore(Protocol):
    """Shows what was kept."""

    async def find(self, session_id: uuid.UUID) -> Session | None:
        """Return the session with this id, if there is one."""

    async def show(self, session_id: uuid.UUID) -> tuple[Session, MeterSummary] | None:
        """Return the session with this id, if there is one, and the sum of its meter values."""

    async def list(self, page: PageRequest, wanted: SessionFilter) -> Page[Session]:
        """Return a page of sessions, newest first."""


class EndingStore(Protocol):
    """Ends sessions without a stop; each method returns when that is durable."""

    async def quiet(self, before: datetime, after: uuid.UUID, most: int) -> Sequence[QuietSession]:
        """Return running sessions of which nothing was heard since `before`.

        They are ordered by their ids and come after the given one.
        """

    async def give_up(self, quiet: QuietSession, why: Flag, now: datetime) -> bool:
        """End a session unless something was heard of it meanwhile; tell whether it was ended."""

    async def outlived(self, since: datetime, after: uuid.UUID, most: int) -> Sequence[uuid.UUID]:
        """Return sessions whose end was inferred since a time and that have readings beyond it.

        They are ordered by their ids and come after the given one.
        """

    async def follow(self, session_id: uuid.UUID) -> None:
        """Move the inferred end of a session to its last reading."""

    async def close(self, session_id: uuid.UUID, closing: Closing, now: datetime) -> Session:
        """End a session as an operator says.

        Raises:
            SessionNotFound: There is no session with this id.
            SessionAlreadyEnded: Its charge point has told the end.
            InvalidRequest: The end lies before the start, by time or by register.
        """


class ReviewStore(Protocol):
    """Looks at sessions again that have ended."""

    async def review(self, now: datetime, most: int) -> int:
        """Note what late meter values say of sessions that are due; return how many were due.

        A session is due soon after its end, and then ever more rarely for some weeks.
        """


class QuarantineStore(Protocol):
    """Shows what could not be placed, and keeps what became of it."""

    async def find(self, entry_id: uuid.UUID) -> QuarantineEntry | None:
        """Return the entry with this id, if there is one."""

    async def list(self, page: PageRequest, wanted: QuarantineFilter) -> Page[QuarantineEntry]:
        """Return a page of entries, newest first."""

    async def resolve(self, entry_id: uuid.UUID, resolution: Resolution) -> QuarantineEntry:
        """Resolve an entry; a stop that it holds ends the session that the resolution names.

        Raises:
            QuarantineEntryNotFound: There is none with this id.
            QuarantineEntryAlreadyResolved: It was resolved in another way.
            SessionNotFound: There is no such session.
            SessionAlreadyEnded: Its charge point has told its end.
            InvalidRequest: The session is another charge point's.
        """


class ChargePoints(Protocol):
    """Knows the charge points."""

    async def sightings(self, charge_point_ids: Collection[str]) -> Mapping[str, Sighting]:
        """Return what is known of charge points; those that are not known are left out.

        Raises:
            ServiceUnavailable: There was no answer.
        """


class EventLog(Protocol):
    """Knows what happens to sessions."""

    def watch(
        self, cursor: Cursor | None, charge_point_id: str | None
    ) -> AsyncGenerator[News, None]:
        """Yield where the watch begins, then what happens, each thing once and in one order.

        Now and then, when nothing happens, how far the watch has come is told alone.

        Args:
            cursor: What to go on behind; None: what happens from now on.
            charge_point_id: Keeps what happens at one charge point; None: all.

        Raises:
            EventCursorExpired: What happened behind the cursor is no longer known.
            QueueFull: Too many watch already.
            ServiceUnavailable: The process stops; go on from the last cursor.
            DatabaseUnavailable: The database is away; go on from the last cursor.
        """


class Authorizations(Protocol):
    """Knows the id tags."""

    async def check(self, id_tag: str, charge_point_id: str, *, timeout_s: float) -> TagCheck:
        """Tell whether a tag may charge now.

        Raises:
            ServiceUnavailable: There was no answer within `timeout_s` seconds.
        """


class Commands(Protocol[Command_co]):
    """Sends commands to charge points.

    Each method returns the command as it is when the wait is over or it has ended.

    Raises:
        PlatformError: What device_service has against the command, with its own reason.
        ServiceUnavailable: device_service gave no answer; a repeat with the request id is safe.
    """

    async def remote_start(self, start: RemoteStart, order: Order) -> Command_co:
        """Ask a charge point to start a session."""

    async def remote_stop(self, session: Session, order: Order) -> Command_co:
        """Ask the charge point of a session to stop it."""
