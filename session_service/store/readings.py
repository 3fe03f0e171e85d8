"""The meter values of sessions as far as they tell how a session goes."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.meter_values import MeterValue
from session_service.store.layouts import kept_layouts

MOST = 10_000
"""Meter values of one session that are looked at; the newest of them."""

_NEWEST = sa.text(
    """
SELECT wanted.session_id, newest.sample_time, newest.numbers, newest.layout_id
FROM unnest(CAST(:session_ids AS uuid[])) AS wanted (session_id)
CROSS JOIN LATERAL (
    SELECT m.sample_time, m.digest, m.layout_id, CAST(m.numbers AS text[]) AS numbers
    FROM meter_values AS m
    WHERE m.session_id = wanted.session_id
    ORDER BY m.sample_time DESC, m.digest DESC
    LIMIT :most
) AS newest
ORDER BY newest.sample_time, newest.digest
"""
)


async def newest_values(
    connection: AsyncConnection, session_ids: Sequence[uuid.UUID], most: int = MOST
) -> Mapping[uuid.UUID, Sequence[MeterValue]]:
    """Return the newest meter values of each session that has some, in the order of time.

    Their values are in the units that are kept, and empty where there is no number.
    """
    if not session_ids:
        return {}
    values = {"session_ids": list(session_ids), "most": most}
    rows = (await connection.execute(_NEWEST, values)).all()
    layouts = await kept_layouts(connection, {row.layout_id for row in rows})
    found = defaultdict[uuid.UUID, list[MeterValue]](list)
    for session_id, sample_time, numbers, layout_id in rows:
        texts = tuple([number or "" for number in numbers])
        found[session_id].append(MeterValue(sample_time, layouts[layout_id], texts))
    return found
