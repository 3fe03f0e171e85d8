"""Meter values: rendered as text, copied to PostgreSQL, attributed and kept in one statement."""

import functools
import hashlib
import uuid
from collections.abc import Iterable, Sequence

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from session_service.domain.facts import MeterReport, Receipt, Stop
from session_service.domain.meter_values import MeterValue, SampleLayout, numbers
from session_service.domain.sessions import Session

_CREATE = """
CREATE TEMPORARY TABLE incoming_meter_values (
    charge_point_id text,
    connector_id integer,
    reported_transaction_id bigint,
    session_id uuid,
    receive_time timestamptz,
    repairs text[],
    raw_frame text,
    sample_time timestamptz,
    digest uuid,
    measurands text[],
    phases text[],
    units text[],
    contexts text[],
    locations text[],
    formats text[],
    numbers numeric[],
    raw_values text[]
) ON COMMIT DELETE ROWS
"""
_COPY = "COPY incoming_meter_values FROM STDIN"
# A value belongs to the session that its transaction id names, unless that has ended at another
# time; with an id that names none, to the one session that runs on the connector.
_KEEP = """
INSERT INTO meter_values (
    charge_point_id, connector_id, reported_transaction_id, session_id, receive_time, repairs,
    raw_frame, sample_time, digest, measurands, phases, units, contexts, locations, formats,
    numbers, raw_values
)
SELECT
    i.charge_point_id, i.connector_id, i.reported_transaction_id,
    CASE
        WHEN i.session_id IS NOT NULL THEN i.session_id
        WHEN named.session_id IS NULL THEN running.session_id
        WHEN named.stop_receive_time IS NULL
            OR i.sample_time BETWEEN named.start_time AND named.stop_time
        THEN named.session_id
    END,
    i.receive_time, i.repairs, i.raw_frame, i.sample_time, i.digest, i.measurands, i.phases,
    i.units, i.contexts, i.locations, i.formats, i.numbers, i.raw_values
FROM incoming_meter_values AS i
LEFT JOIN sessions AS named
    ON named.transaction_id = i.reported_transaction_id
    AND named.charge_point_id = i.charge_point_id
LEFT JOIN LATERAL (
    SELECT (array_agg(s.session_id))[1] AS session_id
    FROM sessions AS s
    WHERE named.session_id IS NULL
        AND s.charge_point_id = i.charge_point_id
        AND s.connector_id = i.connector_id
        AND s.stop_receive_time IS NULL
        AND s.start_time <= i.sample_time
    HAVING count(*) = 1
) AS running ON TRUE
ON CONFLICT DO NOTHING
"""
_PREPARED = "session_service.incoming_meter_values"
_LAYOUTS = 4096
_NULL = "\\N"


def report_rows(report: MeterReport) -> list[str]:
    """Return the rows of a MeterValues message, as COPY wants them."""
    transaction_id = _NULL if report.transaction_id is None else str(report.transaction_id)
    origin = (report.charge_point_id, report.connector_id, transaction_id, None)
    return _rows(origin, report.receipt, report.meter_values)


def stop_rows(stop: Stop, session: Session) -> list[str]:
    """Return the rows of the meter values that a StopTransaction brought for its session."""
    origin = (stop.charge_point_id, session.connector_id, str(stop.transaction_id), session.id)
    return _rows(origin, Receipt(stop.receipt.time), stop.meter_values)


async def store_meter_values(connection: AsyncConnection, rows: Iterable[str]) -> None:
    """Keep the values that are not there yet, each with the session that it belongs to."""
    text = "".join(rows)
    if not text:
        return
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    async with driver.cursor() as cursor:
        await _prepare(connection, cursor)
        async with cursor.copy(_COPY) as copy:
            await copy.write(text)
        await cursor.execute(_KEEP)


async def _prepare(
    connection: AsyncConnection, cursor: "psycopg.AsyncCursor[tuple[object, ...]]"
) -> None:
    """Make the table that a connection copies to, once in the life of the connection."""
    raw = await connection.get_raw_connection()
    if _PREPARED not in raw.info:
        await cursor.execute("SELECT to_regclass('pg_temp.incoming_meter_values')")
        if await cursor.fetchone() == (None,):
            await cursor.execute(_CREATE)
            return
        raw.info[_PREPARED] = True


def _rows(
    origin: tuple[str, int, str, uuid.UUID | None],
    receipt: Receipt,
    meter_values: Sequence[MeterValue],
) -> list[str]:
    charge_point_id, connector_id, transaction_id, session_id = origin
    head = (
        f"{_escaped(charge_point_id)}\t{connector_id}\t{transaction_id}\t"
        f"{session_id or _NULL}\t{receipt.time.isoformat()}\t"
    )
    evidence = _evidence(receipt)
    rows = []
    for meter_value in meter_values:
        rows.append(f"{head}{evidence}\t{_row(meter_value)}\n")
        evidence = f"{_NULL}\t{_NULL}"  # the frame stands beside its first value only
    return rows


def _row(meter_value: MeterValue) -> str:
    content = f"{_layout(meter_value.layout)}\t{_values(meter_value)}"
    digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return f"{meter_value.sample_time.isoformat()}\t{digest}\t{content}"


@functools.lru_cache(_LAYOUTS)
def _layout(layout: SampleLayout) -> str:
    columns = (
        layout.measurands,
        layout.phases,
        layout.units,
        layout.contexts,
        layout.locations,
        layout.formats,
    )
    return "\t".join("{" + ",".join(word or "NULL" for word in column) + "}" for column in columns)


def _values(meter_value: MeterValue) -> str:
    plain = numbers(meter_value.layout, meter_value.values)
    if plain is meter_value.values:
        return "{" + ",".join(meter_value.values) + "}\t" + _NULL
    raw = [
        None if text == number else text
        for text, number in zip(meter_value.values, plain, strict=True)
    ]
    elements = "{" + ",".join(number or "NULL" for number in plain) + "}"
    return f"{elements}\t{_NULL if not any(text is not None for text in raw) else _array(raw)}"


def _evidence(receipt: Receipt) -> str:
    if not receipt.raw_frame:
        return f"{_NULL}\t{_NULL}"
    return f"{_array(receipt.repairs)}\t{_escaped(receipt.raw_frame)}"


def _array(texts: Iterable[str | None]) -> str:
    elements = ["NULL" if text is None else _quoted(text) for text in texts]
    return _escaped("{" + ",".join(elements) + "}")


def _quoted(text: str) -> str:
    escaped = text.replace("\0", "\\u0000").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(text: str) -> str:
    """Write a text as COPY reads it (PostgreSQL manual, COPY, text format)."""
    return text.translate(_COPY_ESCAPES) if not text.isalnum() else text


_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
