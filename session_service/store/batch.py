"""What is stored within one transaction."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from servicekit.ids import IdSource
from session_service.domain.facts import IdTagInfo, Start, StartAnswer, Stop
from session_service.domain.quarantine import QuarantineEntry, QuarantineReason, Resolution
from session_service.domain.sessions import Session
from session_service.store.claims import claim_values
from session_service.store.entries import keep_entry, store_entries
from session_service.store.events import Changes
from session_service.store.meter_values import stop_rows, store_meter_values
from session_service.store.orphans import keep_orphan, orphans_of, settle
from session_service.store.transactions import (
    find_following,
    find_given,
    find_locked,
    find_named,
    find_open,
    find_superseded,
    store_end,
    store_start,
)

Fact = Start | Stop | QuarantineEntry
Outcome = StartAnswer | IdTagInfo | None

_INSTANT = timedelta(microseconds=1)
_STARTED_LATER = "Its start came later, and the session ended by this stop."
_FITTED_ONE = "It named no transaction, and ended the only session that it fits."


class Batch:
    """Stores facts in the transaction of some changes; `finish` stores what was collected."""

    def __init__(self, changes: Changes, new_id: IdSource) -> None:
        self._changes, self._connection = changes, changes.connection
        self._new_id = new_id
        self._meter_rows: list[str] = []
        self._entries: list[QuarantineEntry] = []

    async def store(self, fact: Fact) -> Outcome:
        """Keep a fact and return what its charge point is told."""
        if isinstance(fact, Start):
            return await self._start(fact)
        if isinstance(fact, Stop):
            return await self._stop(fact)
        self._entries.append(fact)
        return None

    async def end(self, session: Session, stop: Stop) -> None:
        """End a session by a stop, which tells of its values better than an inferred end did."""
        if session.is_inferred:
            session = await self._with_values(session, stop.end_time + _INSTANT)
        ended = session.read_also(stop.meter_values).stopped(stop)
        await store_end(self._changes, session, ended, stop.receipt)
        self._meter_rows += stop_rows(stop, session)

    async def finish(self) -> None:
        """Store what was collected: many rows, few statements."""
        if self._meter_rows:
            await store_meter_values(self._connection, self._meter_rows)
        await store_entries(self._connection, self._entries)

    async def _start(self, start: Start) -> StartAnswer:
        answer, session = await store_start(self._changes, start)
        if session is not None:
            await self._place(session)
        return answer

    async def _place(self, begun: Session) -> None:
        """Let a connector carry one transaction at a time, in whatever order starts arrive."""
        now = begun.create_time
        for before in await find_superseded(self._connection, begun):
            await store_end(self._changes, before, before.superseded(begun, now))
        following = await find_following(self._connection, begun)
        waiting = await self._waiting_stop(begun)
        ends = [following.start_time] if following else []
        ends += [waiting[1].end_time + _INSTANT] if waiting else []
        begun = await self._with_values(begun, min(ends, default=None))
        if waiting is not None:
            await self._match(begun, *waiting)
        elif following is not None:
            await store_end(self._changes, begun, begun.superseded(following, now))

    async def _with_values(self, session: Session, before: datetime | None) -> Session:
        """Return a session with what was measured in it and arrived before that was known."""
        if not await claim_values(self._connection, session, before):
            return session
        return await find_locked(self._connection, session.id) or session

    async def _waiting_stop(self, begun: Session) -> tuple[uuid.UUID, Stop] | None:
        """Return the stop that came before its start, and the id of its entry.

        One that names no transaction is not taken while it fits another session too.
        """
        for entry_id, stop in await orphans_of(self._connection, begun):
            if not stop.names_none or len(await self._fitting(stop)) == 1:
                return entry_id, stop
        return None

    async def _match(self, session: Session, entry_id: uuid.UUID, stop: Stop) -> None:
        """End a new session by a stop that came before its start."""
        await self.end(session, stop)
        resolution = Resolution(session.create_time, _STARTED_LATER, session_id=session.id)
        await settle(self._connection, entry_id, resolution)

    async def _stop(self, stop: Stop) -> IdTagInfo | None:
        session = await find_named(self._connection, stop)
        if session is None:
            return await self._stop_of_unknown(stop)
        if not session.has_stopped:
            await self.end(session, stop)
            return stop.id_tag_info
        assert session.end is not None
        if session.end.is_repeated_by(stop):
            self._meter_rows += stop_rows(stop, session)  # it may bring values that are new
            return session.end.id_tag_info
        return await self._second_stop(stop)

    async def _second_stop(self, stop: Stop) -> IdTagInfo | None:
        """Keep a stop of a transaction that was stopped otherwise until an operator places it."""
        entry = self._entry(stop, QuarantineReason.SECOND_STOP)
        if not await keep_entry(self._connection, entry):
            return await self._told_before(entry, stop)
        await keep_orphan(self._connection, entry.id, stop)
        return stop.id_tag_info

    async def _stop_of_unknown(self, stop: Stop) -> IdTagInfo | None:
        """Place a stop that names no transaction by what it says, or keep it until one can."""
        entry = self._entry(stop, QuarantineReason.UNKNOWN_TRANSACTION)
        if not await keep_entry(self._connection, entry):
            return await self._told_before(entry, stop)
        fitting = await self._fitting(stop) if stop.names_none else []
        if len(fitting) == 1:
            await self.end(fitting[0], stop)
            resolution = Resolution(stop.receipt.time, _FITTED_ONE, session_id=fitting[0].id)
            await settle(self._connection, entry.id, resolution)
        else:
            await keep_orphan(self._connection, entry.id, stop)
        return stop.id_tag_info

    async def _told_before(self, entry: QuarantineEntry, stop: Stop) -> IdTagInfo | None:
        """Return what to tell about the tag of a repeated stop: the same, if it ended a session."""
        session = await find_given(self._connection, entry)
        if session is None or session.end is None or not session.end.is_repeated_by(stop):
            return stop.id_tag_info
        return session.end.id_tag_info or stop.id_tag_info  # a stop that has waited has lost it

    async def _fitting(self, stop: Stop) -> Sequence[Session]:
        found = await find_open(self._connection, stop)
        return [session for session in found if session.may_have_ended_by(stop)]

    def _entry(self, stop: Stop, reason: QuarantineReason) -> QuarantineEntry:
        return QuarantineEntry(
            self._new_id(),
            stop.charge_point_id,
            "StopTransaction",
            reason,
            f"Stop of transaction {stop.transaction_id} at {_register(stop)}.",
            stop.raw_text(),
            stop.receipt.time,
            stop.digest,
        )


def _register(stop: Stop) -> str:
    return "a register that is not known" if stop.meter_stop is None else f"{stop.meter_stop} Wh"
