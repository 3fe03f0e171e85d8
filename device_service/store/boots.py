"""Writes who introduced itself, and what charge points tell about themselves when they boot."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.domain import Hardware, State
from device_service.facts import BootReported, Introduced, Registration
from device_service.store.tables import charge_points, given, insert_given, rows_of

_HARDWARE = tuple(field.name for field in dataclasses.fields(Hardware))
_RECORD = ("charge_point_id", "state", "create_time", "update_time", "etag")
_INTRODUCE = insert_given(charge_points, _RECORD, "charge_point_id").on_conflict_do_nothing()


def _take() -> sa.Select[Any]:
    """Return what keeps the hardware, unless a later boot is known, and reads the records."""
    told, table = ("last_boot_time", *_HARDWARE), charge_points.c
    source = given(charge_points, "charge_point_id", *told)
    is_given = table.charge_point_id == source.c.charge_point_id
    is_last = sa.func.coalesce(table.last_boot_time <= source.c.last_boot_time, sa.true())
    update = (
        sa.update(charge_points)
        .where(is_given, is_last)
        .values({name: source.c[name] for name in told})
    )
    records = sa.select(table.charge_point_id, table.state, table.heartbeat_interval)
    return records.where(is_given).add_cte(update.cte("told"))


def _lock() -> sa.Select[Any]:
    key = charge_points.c.charge_point_id
    keys = sa.select(given(charge_points, key.name).c[key.name])
    return sa.select(key).where(key.in_(keys)).order_by(key).with_for_update(key_share=True)


_TAKE, _LOCK = _take(), _lock()


async def introduce(connection: AsyncConnection, unknown: Sequence[Introduced]) -> None:
    """Register charge points of which there is no record."""
    if unknown:
        await connection.execute(_INTRODUCE, rows_of([_new_row(item) for item in unknown]))


async def lock(connection: AsyncConnection, charge_point_ids: Iterable[str]) -> None:
    """Lock the records that are to be changed, in one order, so that writers do not deadlock.

    An update alone takes them in the order in which its plan comes upon them.
    """
    rows = [{"charge_point_id": key} for key in sorted(set(charge_point_ids))]
    if rows:
        await connection.execute(_LOCK, rows_of(rows))


async def store_boots(
    connection: AsyncConnection, boots: Sequence[BootReported]
) -> Mapping[str, Registration]:
    """Keep what the last boot of each charge point told; return what the records say."""
    if not boots:
        return {}
    last = {boot.charge_point_id: boot for boot in boots}.values()
    records = await connection.execute(_TAKE, rows_of([_boot_row(boot) for boot in last]))
    return {key: Registration(State[state], interval) for key, state, interval in records}


def _new_row(item: Introduced) -> dict[str, Any]:
    return {
        "charge_point_id": item.charge_point_id,
        "state": item.state.name,
        "create_time": item.time,
        "update_time": item.time,
        "etag": item.etag,
    }


def _boot_row(boot: BootReported) -> dict[str, Any]:
    return {
        "charge_point_id": boot.charge_point_id,
        "last_boot_time": boot.receive_time,
        **dataclasses.asdict(boot.hardware),
    }
