"""Meter values that arrived before it was known to which session they belong."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.sessions import Session

_MOST = 10_000
"""Meter values that a session takes over; the earliest of them."""

# The value named no transaction that was right by then, as its attribution tells, and no other
# session of the connector covers its time, or covers it any more. The bounds of time stand twice,
# so that only the months between them are looked at.
_CLAIM = sa.text(
    """
UPDATE meter_values AS m
SET
    session_id = :session_id,
    attribution = CASE
        WHEN m.reported_transaction_id = :transaction_id THEN 'TRANSACTION_ID'
        ELSE 'CONNECTOR_AND_TIME'
    END
FROM (
    SELECT e.sample_time, e.digest
    FROM meter_values AS e
    WHERE e.charge_point_id = :charge_point_id AND e.connector_id = :connector_id
        AND e.sample_time >= :begin
        AND e.sample_time < coalesce(CAST(:before AS timestamptz), 'infinity')
        AND e.attribution IN ('NONE', 'CONNECTOR_AND_TIME')
        AND e.session_id IS DISTINCT FROM :session_id
        AND NOT EXISTS (
            SELECT FROM sessions AS other
            WHERE other.charge_point_id = :charge_point_id AND other.connector_id = :connector_id
                AND other.session_id <> :session_id AND other.start_time <= e.sample_time
                AND (
                    other.stop_receive_time IS NULL
                    OR other.stop_time >= e.sample_time AND NOT other.flags @> '{STOP_IN_FUTURE}'
                )
        )
    ORDER BY e.sample_time
    LIMIT :most
) AS early
WHERE m.charge_point_id = :charge_point_id AND m.connector_id = :connector_id
    AND m.sample_time >= :begin
    AND m.sample_time < coalesce(CAST(:before AS timestamptz), 'infinity')
    AND m.sample_time = early.sample_time AND m.digest = early.digest
"""
)


async def claim_values(
    connection: AsyncConnection, session: Session, before: datetime | None
) -> bool:
    """Attribute what was measured from the begin of a session on; tell whether there was any.

    Args:
        connection: That of the transaction that stores the start of the session, or its stop.
        session: The session; what it had ended on its connector is stored.
        before: When it had ended; None: it runs.
    """
    if not session.start_is_believed or session.connector_id <= 0:
        return False
    values = {
        "session_id": session.id,
        "transaction_id": session.transaction_id,
        "charge_point_id": session.charge_point_id,
        "connector_id": session.connector_id,
        "begin": session.start_time,
        "before": before,
        "most": _MOST,
    }
    return (await connection.execute(_CLAIM, values)).rowcount > 0
