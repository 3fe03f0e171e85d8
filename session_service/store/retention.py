"""Deletes what is too old, some rows at a time, so that no transaction is long."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from servicekit.clock import Clock
from servicekit.database import Database

BATCH = 5000

# What was resolved before a time was received before it: there is an index of receipts.
_DELETE_RESOLVED = sa.text(
    """
DELETE FROM quarantine
WHERE entry_id = ANY (ARRAY(
    SELECT entry_id FROM quarantine
    WHERE receive_time < :before AND resolve_time < :before
    LIMIT :batch FOR UPDATE SKIP LOCKED
))
"""
)


class QuarantineRetention:
    """Forgets quarantine entries that were resolved long ago.

    What is open stays, and so does a stop that waits for its start, for that is open.

    Args:
        database: The schema of session_service.
        clock: Tells what is old.
        keep: How long entries are kept once they are resolved.
        batch: Most rows that are deleted in one transaction.
    """

    def __init__(
        self, database: Database, clock: Clock, keep: timedelta, *, batch: int = BATCH
    ) -> None:
        self._database, self._clock = database, clock
        self._keep, self._batch = keep, batch

    async def enforce(self) -> None:
        """Delete what is too old; the sessions that it belonged to stay.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        before = self._clock.now() - self._keep
        await delete_old(self._database, _DELETE_RESOLVED, before, self._batch)


async def delete_old(
    database: Database, statement: sa.Executable, before: datetime, batch: int
) -> None:
    """Execute a deletion, each time in a transaction of its own, until little is left of it.

    Args:
        database: Where it is executed.
        statement: Deletes what is older than `before`, at most `batch` rows.
        before: The parameter of the statement.
        batch: Likewise.

    Raises:
        DatabaseUnavailable: The database is away; what was deleted stays deleted.
    """
    deleted = batch
    while deleted == batch:
        async with database.transaction() as connection:
            result = await connection.execute(statement, {"before": before, "batch": batch})
        deleted = result.rowcount
