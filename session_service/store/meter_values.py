"""Meter values: rendered as text, copied to PostgreSQL, attributed and kept in one statement."""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.copying import copy_then
from servicekit.database import Database
from servicekit.group_commit import GroupCommit
from session_service.domain.facts import MeterReport, Receipt, Stop
from session_service.domain.meter_values import MeterValue, SampleLayout, converted, numbers
from session_service.domain.quarantine import QuarantineEntry
from session_service.domain.sessions import Session
from session_service.store.entries import store_entries
from session_service.store.layouts import CACHED, Layouts, layout_id, sent_text

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
    layout_id uuid,
    numbers numeric[],
    raw_values text[]
) ON COMMIT DELETE ROWS
"""
_COPY = "COPY incoming_meter_values FROM STDIN"
# What belongs to whom is told in docs/sessions.md. Mostly the named session runs, and one probe of
# an index is all; the limits keep the planner from reading all sessions instead. Of values that are
# alike in one batch the first with a session is kept.
_DEFINE = """
CREATE FUNCTION pg_temp.keep_meter_values() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
INSERT INTO meter_values (
    sample_time, receive_time, digest, layout_id, session_id, reported_transaction_id,
    connector_id, charge_point_id, attribution, numbers, raw_values, repairs, raw_frame
)
SELECT DISTINCT ON (i.charge_point_id, i.connector_id, i.sample_time, i.digest)
    i.sample_time, i.receive_time, i.digest, i.layout_id,
    coalesce(i.session_id, named.session_id, placed.session_id) AS session_id,
    i.reported_transaction_id, i.connector_id, i.charge_point_id,
    CASE
        WHEN i.session_id IS NOT NULL THEN 'STOP_TRANSACTION'
        WHEN named.session_id IS NOT NULL THEN 'TRANSACTION_ID'
        WHEN placed.session_id IS NOT NULL THEN 'CONNECTOR_AND_TIME'
        ELSE 'NONE'
    END,
    i.numbers, i.raw_values, i.repairs, i.raw_frame
FROM incoming_meter_values AS i
LEFT JOIN LATERAL (
    SELECT s.session_id
    FROM sessions AS s
    WHERE s.transaction_id = i.reported_transaction_id
        AND s.charge_point_id = i.charge_point_id
        AND i.reported_transaction_id > 0
        AND i.session_id IS NULL
        AND (
            s.stop_receive_time IS NULL
            OR i.sample_time BETWEEN s.start_time AND s.stop_time
                AND coalesce(s.stop_source, 'STATION') = 'STATION'
                AND NOT s.flags @> '{STOP_IN_FUTURE}'
            OR NOT EXISTS (
                SELECT FROM sessions AS newer
                WHERE newer.charge_point_id = s.charge_point_id
                    AND newer.connector_id = s.connector_id
                    AND (newer.start_time, newer.transaction_id) > (s.start_time, s.transaction_id)
                    AND newer.start_time <= i.sample_time
            )
        )
    LIMIT 1
) AS named ON TRUE
LEFT JOIN LATERAL (
    SELECT s.session_id
    FROM (
        (
            SELECT *
            FROM sessions AS newest
            WHERE newest.charge_point_id = i.charge_point_id
                AND newest.connector_id = i.connector_id
                AND newest.start_time <= i.sample_time
            ORDER BY newest.start_time DESC, newest.transaction_id DESC
            LIMIT 1
        )
        UNION ALL
        SELECT *
        FROM sessions AS running
        WHERE running.charge_point_id = i.charge_point_id
            AND running.connector_id = i.connector_id
            AND running.start_time <= i.sample_time
            AND running.stop_receive_time IS NULL
    ) AS s
    WHERE named.session_id IS NULL
        AND i.session_id IS NULL
        AND i.connector_id > 0
        AND (s.stop_receive_time IS NULL OR s.stop_time >= i.sample_time)
    ORDER BY s.start_time DESC, s.transaction_id DESC
    LIMIT 1
) AS placed ON TRUE
ORDER BY i.charge_point_id, i.connector_id, i.sample_time, i.digest, session_id, i.ctid
ON CONFLICT (charge_point_id, connector_id, sample_time, digest) DO UPDATE
SET session_id = excluded.session_id, attribution = excluded.attribution,
    reported_transaction_id = excluded.reported_transaction_id
WHERE meter_values.session_id IS NULL AND excluded.session_id IS NOT NULL;
END
$$
"""
_KEEP = "SELECT pg_temp.keep_meter_values()"
_IS_PREPARED = sa.text("SELECT to_regclass('pg_temp.incoming_meter_values') IS NOT NULL")
_PREPARED = "session_service.keep_meter_values"
_NULL = "\\N"
_NO_EVIDENCE = f"{_NULL}\t{_NULL}"

Message = MeterReport | QuarantineEntry


class PostgresMeterValues:
    """Keeps what charge points measure in the schema of session_service."""

    def __init__(self, database: Database, layouts: Layouts) -> None:
        self._database, self._layouts = database, layouts
        self._messages = GroupCommit[Message, None](self._commit)

    async def report(self, messages: Sequence[Message]) -> Sequence[Exception | None]:
        """Keep meter values; return for each message what went wrong with it."""
        return await self._messages.submit_all(messages)

    async def close(self) -> None:
        """Wait until all that was submitted is stored."""
        await self._messages.close()

    async def _commit(self, messages: Sequence[Message]) -> Sequence[None]:
        """Store messages in one transaction.

        Rows come in the order of the charge points, so that two replicas of this service do not
        wait for each other.
        """
        ordered = sorted(messages, key=attrgetter("charge_point_id"))
        reports = [message for message in ordered if isinstance(message, MeterReport)]
        entries = [message for message in ordered if isinstance(message, QuarantineEntry)]
        await self._layouts.keep({value.layout for each in reports for value in each.meter_values})
        # Meter values alone are one exchange, and that is a transaction.
        opening = self._database.transaction if entries else self._database.statements
        async with opening() as connection:
            if any(report.meter_values for report in reports):
                await store_meter_values(connection, chain.from_iterable(map(report_rows, reports)))
            await store_entries(connection, entries)
        return [None] * len(messages)


def report_rows(report: MeterReport) -> list[str]:
    """Return the rows of a MeterValues message, as COPY wants them."""
    charge_point_id, connector_id, transaction_id, receipt, meter_values = report
    named = _NULL if transaction_id is None else transaction_id
    origin = f"{_escaped(charge_point_id)}\t{connector_id}\t{named}\t{_NULL}"
    return _rows(origin, receipt, meter_values)


def stop_rows(stop: Stop, session: Session) -> list[str]:
    """Return the rows of the meter values that a StopTransaction brought for its session."""
    charge_point_id = _escaped(stop.charge_point_id)
    origin = f"{charge_point_id}\t{session.connector_id}\t{stop.transaction_id}\t{session.id}"
    return _rows(origin, Receipt(stop.receipt.time), stop.meter_values)


async def store_meter_values(connection: AsyncConnection, rows: Iterable[str]) -> None:
    """Keep the values that are not there yet, each with the session that it belongs to.

    Their layouts are there already. The rows are asked for when the server gets ready for them.
    """
    await _prepare(connection)
    await copy_then(connection, _COPY, rows, _KEEP)


async def _prepare(connection: AsyncConnection) -> None:
    """Make what a connection needs to keep meter values, once in its life.

    Not when it opens: others than writers would wait then while a month is made. What was made in
    a transaction may go with it, so it counts from when it is found. It is a function and no
    prepared statement because the driver lets those go with each transaction that is rolled back.
    """
    raw = await connection.get_raw_connection()
    if raw.info.get(_PREPARED):
        return
    raw.info[_PREPARED] = await connection.scalar(_IS_PREPARED)
    if not raw.info[_PREPARED]:
        await connection.exec_driver_sql(_CREATE)
        await connection.exec_driver_sql(_DEFINE)


def _rows(origin: str, receipt: Receipt, meter_values: Sequence[MeterValue]) -> list[str]:
    head = f"{origin}\t{_instant(receipt.time)}"
    evidence = _evidence(receipt)
    rows = []
    for meter_value in meter_values:
        rows.append(f"{head}\t{evidence}\t{_row(meter_value)}\n")
        evidence = _NO_EVIDENCE  # the frame stands beside its first value only
    return rows


class _Rendered(NamedTuple):
    """What the rows of a layout have in common.

    Attributes:
        digest: Has seen what was sent beside the values.
        layout: Its name.
    """

    digest: "hashlib.blake2b"
    layout: str


@functools.lru_cache(CACHED)
def _rendered(layout: SampleLayout) -> _Rendered:
    digest = hashlib.blake2b(f"{sent_text(layout)}\t".encode(), digest_size=16)
    return _Rendered(digest, str(layout_id(layout)))


def _row(meter_value: MeterValue) -> str:
    """Write a meter value; the digest is that of the values as sent, in the units that were sent.

    So it is the same as it was before units were converted.
    """
    sample_time, layout, values = meter_value
    seen, name = _rendered(layout)
    sent = numbers(layout, values)
    said = _values(values, sent)
    digest = seen.copy()
    digest.update(said.encode())
    kept = _values(values, converted(layout, sent)) if layout.conversions else said
    return f"{_instant(sample_time)}\t{digest.hexdigest()}\t{name}\t{kept}"


def _values(texts: Sequence[str], plain: Sequence[str | None]) -> str:
    if plain is texts:
        return f"{{{','.join(texts)}}}\t{_NULL}"
    raw = [None if text == number else text for text, number in zip(texts, plain, strict=True)]
    elements = "{" + ",".join(number or "NULL" for number in plain) + "}"
    return f"{elements}\t{_NULL if not any(text is not None for text in raw) else _array(raw)}"


def _instant(time: datetime) -> str:
    """Write a time as `isoformat` does, in a third of its time: two are in each row."""
    return orjson.dumps(time)[1:-1].decode()


def _evidence(receipt: Receipt) -> str:
    if not receipt.raw_frame:
        return _NO_EVIDENCE
    return f"{_array(receipt.repairs)}\t{_escaped(receipt.raw_frame)}"


def _array(texts: Iterable[str | None]) -> str:
    elements = ["NULL" if text is None else _quoted(text) for text in texts]
    return _escaped("{" + ",".join(elements) + "}")


def _quoted(text: str) -> str:
    escaped = text.replace("\0", "\\u0000").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(text: str) -> str:
    """Write a text as COPY reads it (PostgreSQL manual, COPY, text format)."""
    return text if text.isprintable() and "\\" not in text else text.translate(_COPY_ESCAPES)


_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
