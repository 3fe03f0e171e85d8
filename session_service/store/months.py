"""The monthly partitions of meter values."""

from datetime import date, timedelta

import sqlalchemy as sa
import structlog

from servicekit.clock import Clock
from servicekit.database import Database

log = structlog.get_logger()

_PARTITION = sa.text("SELECT partition_month(:month)")


class Months:
    """Makes the partitions of this month and the next, in time.

    Without its partition a meter value goes to the default one, as does that of a clock that lies.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._made: date | None = None

    async def make(self) -> None:
        """Make what is missing; does nothing for the rest of the month.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        month = self._clock.now().date().replace(day=1)
        if month == self._made:
            return
        try:
            async with self._database.transaction() as connection:
                for each in (month, _after(month)):
                    await connection.execute(_PARTITION, {"month": each})
        except sa.exc.SQLAlchemyError:
            log.exception("month_not_partitioned", month=month.isoformat())
        self._made = month


def _after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
