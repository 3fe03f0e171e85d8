"""How far the sessions of a list have come, by all their registers, at a cost that is bounded.

Registers of most sessions only rise. PostgreSQL finds out whether they do, and then their last one
says as much as all of them; the others are read and judged.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.meter_values import ENERGY_REGISTER, SIGNED, TRANSACTION_BEGIN
from session_service.domain.registers import CLOCK_ERROR, Series, registers, rises_plainly
from session_service.domain.sessions import Session
from session_service.store.readings import MOST, newest_values

_MOST_OF_PAGE = 500_000
"""Meter values that PostgreSQL looks at for one page."""

# `at` is where a layout has its register as `registers` finds it. Where that needs more than one
# look (phases to be added up, a sample that is no number, a value that a wrong clock has dated) the
# value is odd.
_PROGRESS = sa.text(
    """
WITH layout AS (
    SELECT l.layout_id, coalesce(
        min(s.at) FILTER (WHERE s.phase IS NULL AND s.context <> :begin),
        CASE WHEN bool_and(s.context = :begin)
            THEN min(s.at) FILTER (WHERE s.phase IS NULL) END
    ) AS at
    FROM layouts AS l
    CROSS JOIN unnest(l.measurands, l.phases, l.units, l.contexts, l.locations, l.formats)
        WITH ORDINALITY AS s (measurand, phase, unit, context, location, format, at)
    WHERE s.measurand = :register AND s.location = 'Outlet'
        AND coalesce(s.unit, 'Wh') = 'Wh' AND s.format <> :signed
    GROUP BY l.layout_id
)
SELECT session_id, count(*) AS value_count,
    coalesce(bool_or(is_odd OR wh < before), FALSE) AS is_odd,
    min(wh) AS lowest, max(wh) AS highest,
    max(sample_time) FILTER (WHERE wh IS NOT NULL) AS last_time
FROM (
    SELECT shown.*, lag(wh) OVER (
        PARTITION BY session_id, wh IS NULL ORDER BY sample_time, digest
    ) AS before
    FROM (
        SELECT s.session_id, m.sample_time, m.digest, m.numbers[layout.at] AS wh,
            m.sample_time < s.start_time - CAST(:clock_error AS interval)
                OR layout.layout_id IS NOT NULL AND m.numbers[layout.at] IS NULL AS is_odd
        FROM sessions AS s
        CROSS JOIN LATERAL (
            SELECT m.sample_time, m.digest, m.numbers, m.layout_id
            FROM meter_values AS m
            WHERE m.session_id = s.session_id
            ORDER BY m.sample_time DESC, m.digest DESC
            LIMIT :most
        ) AS m
        LEFT JOIN layout ON layout.layout_id = m.layout_id
        WHERE s.session_id = ANY (CAST(:session_ids AS uuid[]))
    ) AS shown
) AS compared
GROUP BY session_id
"""
)


async def read_sessions(connection: AsyncConnection, found: Sequence[Session]) -> Sequence[Session]:
    """Return sessions with what is made of their registers where it is shown.

    It is what all their values say. A session with more of them than a page can bear is returned
    unread: then nothing is said of its energy.
    """
    following = [session for session in found if session.follows_readings]
    if not following:
        return found
    most = min(MOST, _MOST_OF_PAGE // len(following))
    values = {
        "session_ids": [session.id for session in following],
        "most": most,
        "clock_error": CLOCK_ERROR,
        "register": ENERGY_REGISTER,
        "begin": TRANSACTION_BEGIN,
        "signed": SIGNED,
    }
    rows = (await connection.execute(_PROGRESS, values)).all()
    known = {row.session_id: row for row in rows if row.value_count < most or most == MOST}
    series = {it.id: plain for it in following if (plain := _plain(it, known.get(it.id)))}
    closer = _closer(row for key, row in known.items() if key not in series)
    for session_id, read in (await newest_values(connection, closer)).items():
        series[session_id] = registers(read)
    return [
        session.read(series[session.id]).followed() if session.id in series else session
        for session in found
    ]


def _plain(session: Session, row: "sa.Row[Any] | None") -> Series | None:
    """Return a series that says as much as all registers of a session; None: there is none."""
    start = session.meter_start
    if row is None or row.is_odd or row.highest is None or start is None:
        return None
    return [(row.last_time, row.highest)] if rises_plainly(row.lowest, row.highest, start) else None


def _closer(rows: Iterable["sa.Row[Any]"]) -> list[uuid.UUID]:
    """Return the sessions whose registers are to be read one by one, as many as a page can bear."""
    chosen, count = list[uuid.UUID](), 0
    for row in rows:
        if (row.is_odd or row.highest is not None) and count + row.value_count <= MOST:
            chosen.append(row.session_id)
            count += row.value_count
    return chosen
