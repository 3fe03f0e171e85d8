"""Writes which charge points are connected, through which gateway, and when they were heard."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.facts import (
    ConnectionClosed,
    ConnectionOpened,
    GatewayBeat,
    GatewayLinked,
)
from device_service.store.tables import (
    connections,
    gateway_instances,
    given,
    insert_given,
    rows_of,
)

_FORGET_GATEWAY_AFTER = timedelta(days=1)
_NOT_LISTED = "not held by its gateway any more"


_OPENING = (
    *("charge_point_id", "generation", "connection_id", "gateway_id", "gateway_instance_id"),
    *("remote_address", "subprotocol", "open_time", "last_seen_time"),
)
_ENDING = ("close_time", "close_code", "close_reason")


def _open() -> sa.Insert:
    insert = insert_given(connections, _OPENING, "charge_point_id")
    known, new = connections.c, insert.excluded
    changes: dict[str, Any] = {name: new[name] for name in _OPENING}
    changes |= dict.fromkeys(_ENDING, sa.null())
    changes["generation"] = known.generation + 1
    changes["last_seen_time"] = sa.func.greatest(known.last_seen_time, new.last_seen_time)
    return insert.on_conflict_do_update(
        index_elements=["charge_point_id"],
        set_=changes,
        # A report that is sent again neither opens a connection anew nor replaces a newer one.
        # An older one counts again when the newest has ended.
        where=(known.connection_id != new.connection_id)
        & ((known.open_time <= new.open_time) | known.close_time.is_not(None)),
    )


def _close() -> sa.Update:
    source = given(connections, "charge_point_id", "connection_id", *_ENDING)
    return (
        sa.update(connections)
        .where(
            connections.c.charge_point_id == source.c.charge_point_id,
            connections.c.connection_id == source.c.connection_id,
            connections.c.close_time.is_(None),
        )
        .values({name: source.c[name] for name in _ENDING})
    )


def _hear() -> sa.Update:
    """Return the update of the times; it locks in the order of keys, like every other writer."""
    source = given(connections, "charge_point_id", "last_seen_time")
    locked = (
        sa.select(source)
        .join(connections, connections.c.charge_point_id == source.c.charge_point_id)
        .order_by(source.c.charge_point_id)
        .with_for_update(of=connections)
        .cte("locked")
    )
    return (
        sa.update(connections)
        .where(connections.c.charge_point_id == locked.c.charge_point_id)
        .where(connections.c.last_seen_time < locked.c.last_seen_time)
        .values(last_seen_time=locked.c.last_seen_time)
    )


def _note_alive() -> sa.Insert:
    names = ("gateway_instance_id", "gateway_id", "beat_time")
    insert = insert_given(gateway_instances, names, "gateway_instance_id")
    later = sa.func.greatest(gateway_instances.c.beat_time, insert.excluded.beat_time)
    return insert.on_conflict_do_update(
        index_elements=["gateway_instance_id"], set_={"beat_time": later}
    )


_OPEN, _CLOSE, _HEAR, _NOTE_ALIVE = _open(), _close(), _hear(), _note_alive()


async def store_openings(connection: AsyncConnection, opened: Sequence[ConnectionOpened]) -> None:
    """Make each connection the newest of its charge point, unless a newer one is open."""
    if not opened:
        return
    await _prolong(connection, opened)
    newest: dict[str, ConnectionOpened] = {}
    for item in opened:
        known = newest.get(item.charge_point_id)
        if known is None or known.open_time <= item.open_time:
            newest[item.charge_point_id] = item
    await connection.execute(_OPEN, rows_of([_connection_row(item) for item in newest.values()]))


async def store_links(connection: AsyncConnection, linked: Sequence[GatewayLinked]) -> None:
    """Make what a gateway lists at its link true: open that, close what it holds no more."""
    for item in linked:
        await _prolong(connection, [item])
        await store_openings(connection, item.opened)
        await connection.execute(_as_listed(item))


def _as_listed(item: GatewayLinked) -> sa.Update:
    """Return the update that opens again what a gateway lists and closes what it does not."""
    held = [opened.connection_id for opened in item.opened]
    listed = connections.c.connection_id == sa.any_(sa.cast(held, pg.ARRAY(sa.Text)))
    return (
        sa.update(connections)
        .where(
            connections.c.gateway_instance_id == item.gateway_instance_id,
            connections.c.close_time.is_(None) != listed,
        )
        .values(
            close_time=sa.case((listed, sa.null()), else_=item.beat_time),
            close_code=sa.null(),
            close_reason=sa.case((listed, sa.null()), else_=_NOT_LISTED),
        )
    )


async def store_closings(connection: AsyncConnection, closed: Sequence[ConnectionClosed]) -> None:
    """Close connections; only the newest of a charge point can still be closed."""
    if not closed:
        return
    rows = [_close_row(item) for item in sorted(closed, key=lambda item: item.charge_point_id)]
    await connection.execute(_CLOSE, rows_of(rows))


async def store_beats(connection: AsyncConnection, beats: Sequence[GatewayBeat]) -> None:
    """Prolong the leases of gateways and tell when their charge points were heard."""
    if not beats:
        return
    await _prolong(connection, beats)
    seen: dict[str, datetime] = {}
    for beat in beats:
        for key, time in beat.seen.items():
            seen[key] = max(time, seen.get(key, time))
    if seen:
        rows = [{"charge_point_id": key, "last_seen_time": time} for key, time in seen.items()]
        await connection.execute(_HEAR, rows_of(rows))


async def _prolong(
    connection: AsyncConnection, signs: Sequence[GatewayBeat | GatewayLinked | ConnectionOpened]
) -> None:
    """Note that gateways live, and forget those that are long gone."""
    last: dict[str, dict[str, Any]] = {}
    for sign in sorted(signs, key=lambda sign: sign.beat_time):
        last[sign.gateway_instance_id] = {
            "gateway_instance_id": sign.gateway_instance_id,
            "gateway_id": sign.gateway_id,
            "beat_time": sign.beat_time,
        }
    await connection.execute(_NOTE_ALIVE, rows_of(list(last.values())))
    gone = max(sign.beat_time for sign in signs) - _FORGET_GATEWAY_AFTER
    await connection.execute(
        sa.delete(gateway_instances).where(gateway_instances.c.beat_time < gone)
    )


def _connection_row(item: ConnectionOpened) -> dict[str, Any]:
    return {
        "charge_point_id": item.charge_point_id,
        "generation": 1,
        "connection_id": item.connection_id,
        "gateway_id": item.gateway_id,
        "gateway_instance_id": item.gateway_instance_id,
        "remote_address": item.remote_address,
        "subprotocol": item.subprotocol,
        "open_time": item.open_time,
        "last_seen_time": item.open_time,
    }


def _close_row(item: ConnectionClosed) -> dict[str, Any]:
    return {
        "charge_point_id": item.charge_point_id,
        "connection_id": item.connection_id,
        "close_time": item.close_time,
        "close_code": item.close_code,
        "close_reason": item.reason,
    }
