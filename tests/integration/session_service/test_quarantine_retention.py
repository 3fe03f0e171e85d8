"""Quarantine entries that were resolved long ago are forgotten, and nothing else."""

import uuid
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from csms.v1 import session_service_pb2 as pb
from servicekit.database import Database
from session_service.store.retention import QuarantineRetention
from session_service.store.tables import quarantine
from tests.fakes.clock import FakeClock
from tests.integration.session_service.conftest import Platform, session_gateway
from tests.support.statements import noted
from tests.support.waiting import eventually

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEEP = timedelta(days=30)
BEFORE = NOW - KEEP
MOMENT = timedelta(microseconds=1)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


async def an_entry(
    platform: Platform, database: Database, resolve_time: datetime | None = None
) -> str:
    """Make an entry of long ago, resolved at that time or open; return its name."""
    known = {entry.name for entry in await platform.quarantined()}
    await platform.gateway.stop(1000 + len(known))
    (name,) = {entry.name for entry in await platform.quarantined()} - known
    if resolve_time is not None:
        request = pb.ResolveQuarantineEntryRequest(name=name, comment="seen to it")
        await platform.sessions.ResolveQuarantineEntry(request)
    update = (
        sa.update(quarantine)
        .where(quarantine.c.entry_id == uuid.UUID(name.partition("/")[2]))
        .values(receive_time=LONG_AGO, resolve_time=resolve_time)
    )
    async with database.transaction() as connection:
        await connection.execute(update)
    return name


async def names(platform: Platform) -> set[str]:
    return {entry.name for entry in await platform.quarantined()}


async def test_what_was_resolved_long_ago_is_forgotten_some_at_a_time(
    platform: Platform, database: Database
) -> None:
    for _ in range(5):
        await an_entry(platform, database, BEFORE - MOMENT)
    young = {await an_entry(platform, database, time) for time in (BEFORE, NOW)}
    with noted(database) as executed:
        await QuarantineRetention(database, FakeClock(NOW), KEEP, batch=2).enforce()
    assert await names(platform) == young
    assert len(executed) == 3


async def test_stop_that_waits_for_its_start_is_never_forgotten(
    platform: Platform, database: Database
) -> None:
    name = await an_entry(platform, database)
    await QuarantineRetention(database, FakeClock(NOW), KEEP).enforce()
    assert await names(platform) == {name}
    await platform.gateway.start()
    assert (await platform.the_session()).state == pb.Session.STATE_COMPLETED


async def test_session_outlives_the_entry_of_its_stop(
    platform: Platform, database: Database
) -> None:
    await platform.gateway.stop(4711)
    await platform.gateway.start()
    session = await platform.the_session()
    in_years = FakeClock(datetime.now(UTC) + timedelta(days=3650))
    await QuarantineRetention(database, in_years, KEEP).enforce()
    assert await names(platform) == set()
    assert await platform.the_session() == session


async def test_the_service_forgets_what_its_setting_says(
    platform: Platform, database: Database, database_url: str, auth_address: str
) -> None:
    await an_entry(platform, database, LONG_AGO)
    is_open = await an_entry(platform, database)
    async with session_gateway(database_url, auth_address, quarantine_retention_days=30):

        async def is_forgotten() -> bool:
            return await names(platform) == {is_open}

        await eventually(is_forgotten)
