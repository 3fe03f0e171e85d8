"""The meter values of sessions as far as they tell how a session goes."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.meter_values import MeterValue
from session_service.domain.registers import CLOCK_ERROR, registers
from session_service.domain.sessions import Session
from session_service.store.layouts import kept_layouts

MOST = 10_000
"""Meter values of one session that are looked at; the newest of them."""

_FIRST = 20
"""Meter values of one session among which the first register is looked for."""

# What a wrong clock has dated long before its session is put where it was received.
_OF_SESSIONS = """
SELECT s.session_id, dated.time, found.numbers, found.layout_id
FROM sessions AS s
CROSS JOIN LATERAL (
    SELECT m.sample_time, m.receive_time, m.digest, m.layout_id,
        CAST(m.numbers AS text[]) AS numbers
    FROM meter_values AS m
    WHERE m.session_id = s.session_id
    ORDER BY m.sample_time {direction}, m.digest {direction}
    LIMIT :most
) AS found
CROSS JOIN LATERAL (
    SELECT CASE WHEN found.sample_time < s.start_time - CAST(:clock_error AS interval)
        THEN found.receive_time ELSE found.sample_time END AS time
) AS dated
WHERE s.session_id = ANY (CAST(:session_ids AS uuid[]))
ORDER BY dated.time, found.sample_time, found.digest
"""
_NEWEST = sa.text(_OF_SESSIONS.format(direction="DESC"))
_EARLIEST = sa.text(_OF_SESSIONS.format(direction="ASC"))


async def newest_values(
    connection: AsyncConnection, session_ids: Sequence[uuid.UUID], most: int = MOST
) -> Mapping[uuid.UUID, Sequence[MeterValue]]:
    """Return the newest meter values of each session that has some, in the order of time.

    What a wrong clock has dated long before its session counts at the time of its receipt. Values
    are in the units that are kept, and empty where there is no number.
    """
    return await _values(connection, _NEWEST, session_ids, most)


async def with_begin(connection: AsyncConnection, found: Sequence[Session]) -> Sequence[Session]:
    """Return sessions with the first register that was read, where the start told none."""
    unknown = [session.id for session in found if session.meter_start is None]
    values = await _values(connection, _EARLIEST, unknown, _FIRST)
    return [session.begun_at(registers(values.get(session.id, ()))) for session in found]


async def _values(
    connection: AsyncConnection, query: sa.TextClause, session_ids: Sequence[uuid.UUID], most: int
) -> Mapping[uuid.UUID, Sequence[MeterValue]]:
    if not session_ids:
        return {}
    values = {"session_ids": list(session_ids), "most": most, "clock_error": CLOCK_ERROR}
    rows = (await connection.execute(query, values)).all()
    layouts = await kept_layouts(connection, {row.layout_id for row in rows})
    found = defaultdict[uuid.UUID, list[MeterValue]](list)
    for session_id, time, numbers, layout_id in rows:
        texts = tuple([number or "" for number in numbers])
        found[session_id].append(MeterValue(time, layouts[layout_id], texts))
    return found
