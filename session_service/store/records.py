"""Keeps what charge points say, many messages in one transaction."""

from collections.abc import Sequence
from typing import cast

from servicekit.database import Database
from servicekit.group_commit import GroupCommit
from servicekit.ids import IdSource
from session_service.domain.facts import (
    IdTagInfo,
    Start,
    StartAnswer,
    StartKey,
    Stop,
)
from session_service.domain.quarantine import QuarantineEntry
from session_service.store.batch import Batch, Fact, Outcome
from session_service.store.events import PostgresEventLog
from session_service.store.layouts import Layouts
from session_service.store.transactions import find_start, lock_places


class PostgresRecords:
    """Keeps what charge points say in the schema of session_service."""

    def __init__(
        self,
        database: Database,
        events: PostgresEventLog,
        layouts: Layouts,
        new_id: IdSource,
    ) -> None:
        self._database, self._events, self._new_id = database, events, new_id
        self._layouts = layouts
        self._facts = GroupCommit[Fact, Outcome](self._commit)

    async def find_start(self, key: StartKey) -> StartAnswer | None:
        """Return the answer that was given to this start, if it was received before."""
        async with self._database.statements() as connection:
            return await find_start(connection, key)

    async def start(self, start: Start) -> StartAnswer:
        """Keep a start and return its answer."""
        return cast("StartAnswer", await self._facts.submit(start))

    async def stop(self, stop: Stop) -> IdTagInfo | None:
        """Keep a stop and return what to tell about its tag."""
        return cast("IdTagInfo | None", await self._facts.submit(stop))

    async def quarantine(self, entry: QuarantineEntry) -> None:
        """Keep what could not be placed."""
        await self._facts.submit(entry)

    async def close(self) -> None:
        """Wait until all that was submitted is stored."""
        await self._facts.close()

    async def _commit(self, facts: Sequence[Fact]) -> Sequence[Outcome]:
        """Store facts in one transaction.

        Rows are locked in the order of the charge points, so that two replicas of this service
        do not wait for each other.
        """
        ordered = sorted(enumerate(facts), key=lambda item: item[1].charge_point_id)
        outcomes: list[Outcome] = [None] * len(facts)
        starts = [fact for fact in facts if isinstance(fact, Start)]
        await self._layouts.keep(
            value.layout for fact in facts if isinstance(fact, Stop) for value in fact.meter_values
        )
        async with self._events.transaction() as changes:
            batch = Batch(changes, self._new_id)
            await lock_places(changes.connection, starts)
            for index, fact in ordered:
                outcomes[index] = await batch.store(fact)
            await batch.finish()
        return outcomes
