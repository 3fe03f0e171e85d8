"""Layouts: what is alike in meter values, kept once and named by what it says."""

import functools
import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.database import Database
from session_service.domain.meter_values import SampleLayout, sample_layout
from session_service.store.tables import layouts as table

CACHED = 4096
"""Layouts that are remembered; a fleet has some dozens."""


class Layouts:
    """Sees to it that a layout is there before the meter values that have it.

    A layout is kept for good, in a transaction of its own: it says nothing about anyone, and the
    values after it may fail.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[uuid.UUID] = set()

    async def keep(self, layouts: Iterable[SampleLayout]) -> None:
        """Keep the layouts that are not there yet.

        Raises:
            DatabaseUnavailable: The database is away.
        """
        new = {key: layout for layout in layouts if (key := layout_id(layout)) not in self._known}
        if not new:
            return
        rows = [_row(key, new[key]) for key in sorted(new)]  # in one order: replicas do not wait
        async with self._database.transaction() as connection:
            await connection.execute(pg.insert(table).on_conflict_do_nothing(), rows)
        if len(self._known) + len(new) > CACHED:
            self._known.clear()
        self._known.update(new)


@functools.lru_cache(CACHED)
def layout_id(layout: SampleLayout) -> uuid.UUID:
    """Return the name of a layout: a hash of its columns."""
    text = columns_text((*_columns(layout), layout.raw_units))
    return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])


def sent_text(layout: SampleLayout) -> str:
    """Return what was sent beside the values, as it is part of their digest."""
    return columns_text(
        (
            layout.measurands,
            layout.phases,
            layout.sent_units,
            layout.contexts,
            layout.locations,
            layout.formats,
        )
    )


def columns_text(columns: Iterable[Sequence[str | None]]) -> str:
    """Write columns as PostgreSQL does; OCPP's words need no quotes."""
    return "\t".join("{" + ",".join(word or "NULL" for word in column) + "}" for column in columns)


def to_layout(row: Mapping[Any, Any]) -> SampleLayout:
    """Return the layout of a row."""
    sent = [raw or unit for raw, unit in zip(row["raw_units"], row["units"], strict=True)]
    return sample_layout(
        measurands=row["measurands"],
        phases=row["phases"],
        sent_units=sent,
        contexts=row["contexts"],
        locations=row["locations"],
        formats=row["formats"],
    )


async def kept_layouts(
    connection: AsyncConnection, ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, SampleLayout]:
    """Return layouts for values in the units that are kept: nothing is to be converted."""
    query = sa.select(table).where(table.c.layout_id.in_(ids))
    rows = (await connection.execute(query)).mappings().all()
    return {row["layout_id"]: _kept(row) for row in rows}


def _kept(row: Mapping[Any, Any]) -> SampleLayout:
    return SampleLayout(
        tuple(row["measurands"]),
        tuple(row["phases"]),
        tuple(row["units"]),
        tuple(row["contexts"]),
        tuple(row["locations"]),
        tuple(row["formats"]),
        raw_units=(None,) * len(row["units"]),
        conversions=(),
    )


def _columns(layout: SampleLayout) -> tuple[Sequence[str | None], ...]:
    return (
        layout.measurands,
        layout.phases,
        layout.units,
        layout.contexts,
        layout.locations,
        layout.formats,
    )


def _row(key: uuid.UUID, layout: SampleLayout) -> dict[str, object]:
    return {
        "layout_id": key,
        "measurands": list(layout.measurands),
        "phases": list(layout.phases),
        "units": list(layout.units),
        "contexts": list(layout.contexts),
        "locations": list(layout.locations),
        "formats": list(layout.formats),
        "raw_units": list(layout.raw_units),
    }
