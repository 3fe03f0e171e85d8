"""The monthly partitions of meter values: made ahead of time, dropped when they are old.

A partition is attached and dropped under locks that stop writers. Each is waited for only briefly,
so that a backup, say, which holds on to the table, delays the partition and not the charge points;
the next turn tries again (ADR 0014).
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.clock import Clock
from servicekit.database import Database
from session_service.store.retention import BATCH, delete_old

log = structlog.get_logger()

_LOCK_TIMEOUT = sa.text("SET LOCAL lock_timeout = '500ms'")
# The lock of `partition_month`: one transaction at a time changes partitions, whichever replica's.
_ALONE = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('meter_values partitions', 0))")
_PARTITION = sa.text("SELECT partition_month(:month)")
_PARTITIONS = sa.text(
    """
SELECT partition.relname
FROM pg_inherits AS i
JOIN pg_class AS partition ON partition.oid = i.inhrelid
WHERE i.inhparent = 'meter_values'::regclass
ORDER BY partition.relname
"""
)
_NAME = re.compile(r"meter_values_(\d{4})_(\d\d)")
# What clocks that lie have dated, and what came after its month was dropped.
_DELETE = sa.text(
    """
DELETE FROM meter_values_default
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM meter_values_default
    WHERE receive_time < :before LIMIT :batch FOR UPDATE SKIP LOCKED
))
"""
)


class Months:
    """Makes the partitions of this month and the next.

    Without its partition a meter value goes to the default one, as does that of a clock that lies.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def make(self) -> None:
        """Make what is missing; what the default partition holds of a month moves along.

        Raises:
            DatabaseUnavailable: The database is away, or the table is in use.
        """
        month = self._clock.now().date().replace(day=1)
        for each in (month, _after(month)):
            async with self._database.transaction() as connection:
                await connection.execute(_LOCK_TIMEOUT)
                await connection.execute(_PARTITION, {"month": each})


class Retention:
    """Forgets old meter values.

    A month goes as a whole once all of it is older than what is kept, by the clocks of the charge
    points. A value of the default partition goes by its time of receipt.

    Args:
        database: The schema of session_service.
        clock: Tells what is old.
        keep: How long meter values are kept.
        batch: Most rows that are deleted in one transaction.
    """

    def __init__(
        self, database: Database, clock: Clock, keep: timedelta, *, batch: int = BATCH
    ) -> None:
        self._database, self._clock = database, clock
        self._keep, self._batch = keep, batch

    async def enforce(self) -> None:
        """Drop and delete what is too old; sessions stay.

        Raises:
            DatabaseUnavailable: The database is away, or the table is in use.
        """
        before = self._clock.now() - self._keep
        async with self._database.transaction() as connection:
            names = await _old_months(connection, before)
        for name in names:
            await self._drop(name)
        await delete_old(self._database, _DELETE, before, self._batch)

    async def _drop(self, name: str) -> None:
        table = sa.Table(name, sa.MetaData())
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK_TIMEOUT)
            await connection.execute(_ALONE)
            await connection.execute(sa.schema.DropTable(table, if_exists=True))
        log.info("meter_values_dropped", partition=name)


async def _old_months(connection: AsyncConnection, before: datetime) -> Sequence[str]:
    """Return the partitions whose month had ended by a time."""
    names = await connection.scalars(_PARTITIONS)
    return [name for name in names if (end := _end(name)) is not None and end <= before]


def _end(name: str) -> datetime | None:
    """Return when the month of a partition ends; None for the default partition."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    after = _after(date(int(match[1]), int(match[2]), 1))
    return datetime(after.year, after.month, 1, tzinfo=UTC)


def _after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
