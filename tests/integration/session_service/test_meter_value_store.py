"""What a connection has made for meter values outlives whatever else happens on it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from servicekit.database import Database
from session_service.domain.facts import MeterReport, Receipt
from session_service.domain.meter_values import MeterValue, sample_layout
from session_service.store.layouts import Layouts
from session_service.store.meter_values import PostgresMeterValues

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAYOUT = sample_layout(
    measurands=["Voltage"],
    phases=[None],
    sent_units=["V"],
    contexts=["Sample.Periodic"],
    locations=["Outlet"],
    formats=["Raw"],
)

OFTEN = 10
"""The driver prepares what is executed so often, and from then on it also cleans up."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "session", pool_size=1)
    yield database
    await database.close()


def report(number: int) -> MeterReport:
    value = MeterValue(NOON + timedelta(seconds=number), LAYOUT, (str(number),))
    return MeterReport("CP-1", 1, None, Receipt(NOON, (), ""), (value,))


async def roll_back(database: Database) -> None:
    """Let the driver see an error in a transaction: it forgets what it had prepared."""
    with pytest.raises(sa.exc.DBAPIError):
        async with database.transaction() as connection:
            await connection.execute(sa.text("SELECT 1 / 0"))


async def drop_a_table(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(sa.text("CREATE TABLE passing ()"))
        await connection.execute(sa.text("DROP TABLE passing"))


@pytest.mark.parametrize("happens", [roll_back, drop_a_table])
async def test_meter_values_are_kept_after_it(
    database: Database, happens: Callable[[Database], Awaitable[None]]
) -> None:
    store = PostgresMeterValues(database, Layouts(database))
    for number in range(OFTEN):
        assert await store.report([report(number)]) == [None]
        await database.check()
    await happens(database)
    assert await store.report([report(OFTEN)]) == [None]
    async with database.statements() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM meter_values")) == OFTEN + 1
