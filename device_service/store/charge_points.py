"""The records of charge points in PostgreSQL."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.domain import (
    ChargePoint,
    ChargePointAlreadyExists,
    ChargePointId,
    ChargePointNotFound,
    Hardware,
    Link,
    State,
)
from device_service.store.tables import (
    charge_points,
    commands,
    connections,
    connectors,
    gateway_instances,
    notices,
    status_history,
)
from servicekit.database import Database
from servicekit.errors import EtagMismatch
from servicekit.pagination import Page, PageRequest, time_key

_HARDWARE = tuple(field.name for field in dataclasses.fields(Hardware))


class PostgresChargePointStore:
    """Keeps charge points in the schema of device_service; see the port for what it raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key: ChargePointId, alive_since: datetime) -> ChargePoint | None:
        """Return the charge point with this identity, if there is one."""
        wanted = {"key": key, "alive_since": alive_since}
        async with self._database.statements() as connection:
            row = (await connection.execute(_FIND, wanted)).mappings().one_or_none()
        return _to_charge_point(row) if row else None

    async def look_up(self, keys: Sequence[ChargePointId]) -> Sequence[bool | None]:
        """Tell of each, in order, whether it may come without a subprotocol; None: no record."""
        async with self._database.statements() as connection:
            rows = await connection.execute(_LOOK_UP, {"keys": list(keys)})
            records = {row.charge_point_id: row.subprotocol_optional for row in rows}
        return [records.get(key) for key in keys]

    async def list(
        self, page: PageRequest, alive_since: datetime, state: State | None, online: bool | None
    ) -> Page[ChargePoint]:
        """Return a page of charge points, newest first; None keeps all."""
        wanted = _with_link(alive_since)
        if state is not None:
            wanted = wanted.where(charge_points.c.state == state.name)
        if online is not None:
            wanted = wanted.where(is_online(alive_since) == sa.literal(online))
        count = sa.select(sa.func.count()).select_from(wanted.subquery())
        query = wanted.where(_behind(page)).order_by(
            charge_points.c.create_time.desc(), charge_points.c.charge_point_id.desc()
        )
        async with self._database.transaction() as connection:
            total = await connection.scalar(count)
            rows = (await connection.execute(query.limit(page.size + 1))).mappings().all()
        return page.page([_to_charge_point(row) for row in rows], total or 0, _sort_key)

    async def add(self, charge_point: ChargePoint) -> None:
        """Keep a new charge point."""
        try:
            async with self._database.transaction() as connection:
                await connection.execute(sa.insert(charge_points).values(_to_row(charge_point)))
        except sa.exc.IntegrityError:
            key = charge_point.charge_point_id
            raise ChargePointAlreadyExists(
                f"Charge point {key} exists already.", charge_point=key
            ) from None

    async def change(
        self, key: ChargePointId, changes: Mapping[str, Any], expected_etag: str
    ) -> None:
        """Change attributes of a charge point; an empty etag stands for whatever is current."""
        values = {name: _to_column(value) for name, value in changes.items()}
        update = sa.update(charge_points).where(charge_points.c.charge_point_id == key)
        async with self._database.transaction() as connection:
            await _lock(connection, key, expected_etag)
            await connection.execute(update.values(values))

    async def remove(self, key: ChargePointId) -> None:
        """Forget a charge point with all that is about it, and a connection that ended."""
        async with self._database.transaction() as connection:
            await _lock(connection, key, "")
            for table in (charge_points, commands, connectors, status_history, notices):
                await connection.execute(sa.delete(table).where(table.c.charge_point_id == key))
            await connection.execute(
                sa.delete(connections).where(
                    connections.c.charge_point_id == key, connections.c.close_time.is_not(None)
                )
            )


async def _lock(connection: AsyncConnection, key: ChargePointId, expected_etag: str) -> None:
    query = sa.select(charge_points.c.etag).where(charge_points.c.charge_point_id == key)
    etag = await connection.scalar(query.with_for_update())
    if etag is None:
        raise ChargePointNotFound(f"There is no charge point {key}.", charge_point=key)
    if expected_etag not in ("", etag):
        raise EtagMismatch(f"Charge point {key} has changed; read it again.", charge_point=key)


def is_online(alive_since: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Tell whether the current connection is open and its gateway lives."""
    return sa.func.coalesce(
        connections.c.close_time.is_(None) & (gateway_instances.c.beat_time > alive_since),
        sa.false(),
    )


def _with_link(alive_since: datetime | sa.BindParameter[datetime]) -> sa.Select[Any]:
    linked = charge_points.outerjoin(
        connections, connections.c.charge_point_id == charge_points.c.charge_point_id
    ).outerjoin(
        gateway_instances,
        gateway_instances.c.gateway_instance_id == connections.c.gateway_instance_id,
    )
    return sa.select(
        charge_points,
        connections.c.last_seen_time,
        connections.c.remote_address,
        connections.c.gateway_id,
        connections.c.open_time,
        connections.c.connection_id,
        connections.c.generation,
        is_online(alive_since).label("online"),
    ).select_from(linked)


_FIND = _with_link(sa.bindparam("alive_since", type_=sa.TIMESTAMP(timezone=True))).where(
    charge_points.c.charge_point_id == sa.bindparam("key")
)
_LOOK_UP = sa.select(charge_points.c.charge_point_id, charge_points.c.subprotocol_optional).where(
    charge_points.c.charge_point_id == sa.any_(sa.bindparam("keys", type_=pg.ARRAY(sa.Text)))
)


def _behind(page: PageRequest) -> sa.ColumnElement[bool]:
    if page.after is None:
        return sa.true()
    created, key = page.after
    return sa.tuple_(charge_points.c.create_time, charge_points.c.charge_point_id) < sa.tuple_(
        sa.literal(time_key(created), sa.TIMESTAMP(timezone=True)), sa.literal(key)
    )


def _sort_key(charge_point: ChargePoint) -> tuple[str, str]:
    return charge_point.create_time.isoformat(), charge_point.charge_point_id


def _to_column(value: Any) -> Any:
    return value.name if isinstance(value, State) else value


def _to_row(charge_point: ChargePoint) -> dict[str, Any]:
    own = {
        field.name: _to_column(getattr(charge_point, field.name))
        for field in dataclasses.fields(ChargePoint)
        if field.name not in ("hardware", "link")
    }
    return own | dataclasses.asdict(charge_point.hardware)


def _to_charge_point(row: Mapping[Any, Any]) -> ChargePoint:
    return ChargePoint(
        charge_point_id=row["charge_point_id"],
        state=State[row["state"]],
        create_time=row["create_time"],
        update_time=row["update_time"],
        etag=row["etag"],
        display_name=row["display_name"],
        heartbeat_interval=row["heartbeat_interval"],
        subprotocol_optional=row["subprotocol_optional"],
        hardware=Hardware(**{name: row[name] for name in _HARDWARE}),
        last_boot_time=row["last_boot_time"],
        firmware_status=row["firmware_status"],
        diagnostics_status=row["diagnostics_status"],
        link=Link(
            online=row["online"],
            last_seen_time=row["last_seen_time"],
            remote_address=row["remote_address"] or "",
            gateway=row["gateway_id"] or "",
            connect_time=row["open_time"],
            connection_id=row["connection_id"] or "",
            generation=row["generation"] or 0,
        ),
    )
