"""Shows what was measured."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from servicekit.database import Database
from servicekit.pagination import Page, PageRequest, weight
from session_service.domain.meter_values import (
    Attribution,
    MeterValue,
    MeterValueFilter,
    StoredMeterValue,
)
from session_service.store.layouts import to_layout
from session_service.store.paging import position
from session_service.store.tables import layouts, meter_values

_SAMPLE_WEIGHT = 500
"""Bytes of JSON around the value of a sample, its longest words included."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PostgresMeterValueStore:
    """Shows meter values that are in the schema of session_service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, page: PageRequest, wanted: MeterValueFilter) -> Page[StoredMeterValue]:
        """Return a page of meter values by time; they are not counted."""
        found = _page(page, wanted).subquery()
        query = (
            sa.select(found, *[column for column in layouts.c if not column.primary_key])
            .join_from(found, layouts, layouts.c.layout_id == found.c.layout_id)
            .order_by(found.c.sample_time, found.c.digest)
        )
        async with self._database.statements() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return page.page([_to_meter_value(row) for row in rows], 0, _key, _weigh)


def _page(page: PageRequest, wanted: MeterValueFilter) -> sa.Select[Any]:
    order = sa.tuple_(meter_values.c.sample_time, meter_values.c.digest)
    query = sa.select(meter_values).where(
        *_conditions(wanted), order > position(page) if page.after else sa.true()
    )
    source = query if wanted.interval is None else _last_of_each(query, wanted.interval)
    by = source.selected_columns
    return source.order_by(by.sample_time, by.digest).limit(page.size + 1)


def _last_of_each(query: sa.Select[Any], interval: timedelta) -> sa.Select[Any]:
    """Keep the last row of each interval: the next one, if there is one, lies in another.

    It reads along an index and stops when the page is full. A page ends with the last row of an
    interval, so that the next page begins with another interval.
    """
    by = (meter_values.c.sample_time, meter_values.c.digest)
    next_time = sa.func.lead(meter_values.c.sample_time).over(order_by=by).label("next_time")
    rows = query.add_columns(next_time).subquery()
    stride = sa.literal(interval, pg.INTERVAL)
    origin = sa.literal(_EPOCH, sa.TIMESTAMP(timezone=True))
    begin, next_begin = (
        sa.func.date_bin(stride, time, origin) for time in (rows.c.sample_time, rows.c.next_time)
    )
    columns = [rows.c[column.name] for column in meter_values.c]
    return sa.select(*columns).where(begin.is_distinct_from(next_begin))


def _conditions(wanted: MeterValueFilter) -> list[sa.ColumnElement[bool]]:
    conditions = _parent(wanted)
    if wanted.measurand is not None:
        # As an array, for a join would lose the order of the index.
        holding = sa.select(layouts.c.layout_id).where(
            sa.literal(wanted.measurand) == sa.any_(layouts.c.measurands)
        )
        ids = sa.func.array(holding.scalar_subquery(), type_=pg.ARRAY(sa.Uuid))
        conditions.append(meter_values.c.layout_id == sa.any_(ids))
    if wanted.start_time is not None:
        conditions.append(meter_values.c.sample_time >= wanted.start_time)
    if wanted.end_time is not None:
        conditions.append(meter_values.c.sample_time < wanted.end_time)
    return conditions


def _parent(wanted: MeterValueFilter) -> list[sa.ColumnElement[bool]]:
    if isinstance(wanted.parent, uuid.UUID):
        return [meter_values.c.session_id == wanted.parent]
    charge_point_id, connector_id = wanted.parent
    return [
        meter_values.c.charge_point_id == charge_point_id,
        meter_values.c.connector_id == connector_id,
    ]


def _key(stored: StoredMeterValue) -> tuple[str, str]:
    return stored.meter_value.sample_time.isoformat(), stored.digest


def _weigh(stored: StoredMeterValue) -> int:
    values = stored.meter_value.values
    return weight(stored.raw_frame, *values) + _SAMPLE_WEIGHT * len(values)


def _to_meter_value(row: Mapping[Any, Any]) -> StoredMeterValue:
    raw = row["raw_values"] or [None] * len(row["numbers"])
    values = tuple(
        text if text is not None else format(number, "f")
        for text, number in zip(raw, row["numbers"], strict=True)
    )
    return StoredMeterValue(
        MeterValue(row["sample_time"], to_layout(row), values),
        row["receive_time"],
        str(row["digest"]),
        row["connector_id"],
        row["reported_transaction_id"],
        row["session_id"],
        Attribution(row["attribution"]),
        tuple(row["repairs"] or ()),
        row["raw_frame"] or "",
    )
