"""Writes the statuses of connectors: the history, and what was true last."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.domain import Connector
from device_service.store.tables import rows_of

# A report that is sent again is in the history already. Only two times of the charge point itself
# tell which of two statuses is the older one.
_STORE = sa.text("""
WITH given AS (
    SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given (
        charge_point_id text COLLATE "C",
        connector_id integer,
        status text,
        error_code text,
        info text,
        vendor_id text,
        vendor_error_code text,
        status_time timestamptz,
        receive_time timestamptz,
        orderly_time timestamptz,
        content_digest bytea,
        is_latest boolean
    )
), history AS (
    INSERT INTO status_history (
        charge_point_id, connector_id, status, error_code, info, vendor_id, vendor_error_code,
        status_time, receive_time, fact_time, content_digest
    )
    SELECT
        charge_point_id, connector_id, status, error_code, info, vendor_id, vendor_error_code,
        status_time, receive_time, coalesce(status_time, receive_time) AS fact_time, content_digest
    FROM given
    ORDER BY charge_point_id, connector_id, fact_time
    ON CONFLICT DO NOTHING
)
INSERT INTO connectors AS known (
    charge_point_id, connector_id, status, error_code, info, vendor_id, vendor_error_code,
    status_time, receive_time, orderly_time
)
SELECT
    charge_point_id, connector_id, status, error_code, info, vendor_id, vendor_error_code,
    status_time, receive_time, orderly_time
FROM given
WHERE is_latest
ORDER BY charge_point_id, connector_id
ON CONFLICT (charge_point_id, connector_id) DO UPDATE SET
    status = excluded.status,
    error_code = excluded.error_code,
    info = excluded.info,
    vendor_id = excluded.vendor_id,
    vendor_error_code = excluded.vendor_error_code,
    status_time = excluded.status_time,
    receive_time = excluded.receive_time,
    orderly_time = excluded.orderly_time
WHERE coalesce(known.orderly_time <= excluded.orderly_time, TRUE)
""")


async def store_statuses(connection: AsyncConnection, reported: Sequence[Connector]) -> None:
    """Keep every status in the history, and of each connector the one that was true last."""
    if reported:
        newest = {id(item) for item in latest(reported)}
        rows = [_row(item, is_latest=id(item) in newest) for item in reported]
        await connection.execute(_STORE, rows_of(rows))


def latest(items: Iterable[Connector]) -> list[Connector]:
    """Return the connectors with what was true last, given in the order of receipt."""
    newest: dict[tuple[str, int], Connector] = {}
    for item in items:
        key = item.charge_point_id, item.connector_id
        if key not in newest or not item.is_older_than(newest[key]):
            newest[key] = item
    return list(newest.values())


def digest(*content: str) -> str:
    """Return what stands for a content of any length in a unique index, as PostgreSQL reads it."""
    return "\\x" + hashlib.blake2b("\0".join(content).encode(), digest_size=16).hexdigest()


def _row(item: Connector, *, is_latest: bool) -> dict[str, Any]:
    return {
        "charge_point_id": item.charge_point_id,
        "connector_id": item.connector_id,
        "status": item.status,
        "error_code": item.error_code,
        "info": item.info,
        "vendor_id": item.vendor_id,
        "vendor_error_code": item.vendor_error_code,
        "status_time": item.status_time,
        "receive_time": item.receive_time,
        "orderly_time": item.orderly_time,
        "content_digest": digest(
            item.status, item.error_code, item.info, item.vendor_id, item.vendor_error_code
        ),
        "is_latest": is_latest,
    }
