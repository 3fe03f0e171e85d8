"""Stops that wait for the session that they end, each within the transaction of a batch."""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.convert.ocpp import kept_stop
from session_service.domain.facts import Stop
from session_service.domain.quarantine import QuarantineReason, Resolution
from session_service.domain.sessions import Session
from session_service.store.rows import resolution_row
from session_service.store.tables import orphan_stops, quarantine

_MOST_CANDIDATES = 20


async def keep_orphan(connection: AsyncConnection, entry_id: uuid.UUID, stop: Stop) -> None:
    """Keep the stop of an entry until its start comes, or an operator names its session."""
    row = {
        "entry_id": entry_id,
        "charge_point_id": stop.charge_point_id,
        "stop_time": stop.end_time,
        "meter_stop": stop.meter_stop,
        "message": stop.message(),
    }
    await connection.execute(sa.insert(orphan_stops).values(row))


async def orphans_of(
    connection: AsyncConnection, session: Session
) -> Sequence[tuple[uuid.UUID, Stop]]:
    """Return the stops that wait for a start and fit a session, with the ids of their entries.

    The earliest comes first. One that is being placed in this moment is passed over: whoever does
    it may wait for what this transaction has locked.
    """
    if session.meter_start is None:
        return []
    query = (
        sa.select(orphan_stops.c.entry_id, orphan_stops.c.message)
        .join(quarantine, quarantine.c.entry_id == orphan_stops.c.entry_id)
        .where(
            quarantine.c.reason == QuarantineReason.UNKNOWN_TRANSACTION.value,
            orphan_stops.c.charge_point_id == session.charge_point_id,
            orphan_stops.c.stop_time > session.start_time,
            orphan_stops.c.meter_stop >= session.meter_start,
        )
        .order_by(orphan_stops.c.stop_time)
        .limit(_MOST_CANDIDATES)
        .with_for_update(of=orphan_stops, skip_locked=True)
    )
    rows = (await connection.execute(query)).all()
    stops = [(entry_id, kept_stop(message)) for entry_id, message in rows]
    return [
        (entry_id, stop)
        for entry_id, stop in stops
        if session.may_have_ended_before_it_was_told(stop)
    ]


async def orphan_in(connection: AsyncConnection, entry_id: uuid.UUID) -> Stop | None:
    """Return the stop that waits in an entry, locked; None: the entry is about something else."""
    query = sa.select(orphan_stops.c.message).where(orphan_stops.c.entry_id == entry_id)
    message = await connection.scalar(query.with_for_update())
    return None if message is None else kept_stop(message)


async def settle(connection: AsyncConnection, entry_id: uuid.UUID, resolution: Resolution) -> None:
    """Keep what became of an entry; its stop, if there is one, no longer waits."""
    await connection.execute(
        sa.update(quarantine)
        .where(quarantine.c.entry_id == entry_id)
        .values(resolution_row(resolution))
    )
    await connection.execute(sa.delete(orphan_stops).where(orphan_stops.c.entry_id == entry_id))
