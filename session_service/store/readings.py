"""What the energy register of sessions showed last."""

import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.meter_values import ENERGY_REGISTER, register_wh
from session_service.domain.sessions import Reading

_LATEST = sa.text(
    """
SELECT wanted.session_id, latest.sample_time, latest.number, latest.unit
FROM unnest(CAST(:session_ids AS uuid[])) AS wanted (session_id)
CROSS JOIN LATERAL (
    SELECT m.sample_time, sample.number, sample.unit
    FROM meter_values AS m
    JOIN layouts AS l USING (layout_id)
    CROSS JOIN LATERAL
        unnest(l.measurands, l.phases, l.units, l.contexts, l.locations, m.numbers)
        AS sample (measurand, phase, unit, context, location, number)
    WHERE m.session_id = wanted.session_id
        AND sample.measurand = :measurand
        AND sample.location = 'Outlet'
        AND sample.phase IS NULL
        AND sample.number IS NOT NULL
    ORDER BY m.sample_time DESC, m.digest DESC, sample.context = 'Transaction.Begin'
    LIMIT 1
) AS latest
"""
)


async def latest_readings(
    connection: AsyncConnection, session_ids: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, Reading]:
    """Return the last reading of each session that has one."""
    if not session_ids:
        return {}
    values = {"session_ids": list(session_ids), "measurand": ENERGY_REGISTER}
    rows = await connection.execute(_LATEST, values)
    return {key: Reading(time, register_wh(number, unit)) for key, time, number, unit in rows}
