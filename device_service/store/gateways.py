"""Gateways, their links and their leases in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.ports import Current, Linked
from device_service.store.tables import connections, gateway_instances, gateway_links
from servicekit.database import Database

_LOST = "its gateway was lost"


class PostgresGatewayStore:
    """Keeps gateways in the schema of device_service; see the port for what it raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def link(
        self, gateway_id: str, instance_id: str, version: str, replica_id: str, now: datetime
    ) -> Linked:
        """Number a new link, and name the other processes of this gateway that are known."""
        async with self._database.transaction() as connection:
            epoch = await connection.scalar(
                _next(gateway_id, instance_id, version, replica_id, now)
            )
            others = (await connection.scalars(_others(gateway_id, instance_id))).all()
            return Linked(epoch or 0, tuple(others))

    async def epochs(self, gateway_ids: Collection[str]) -> Mapping[str, int]:
        """Return the epochs of the newest links of gateways, wherever they are."""
        query = sa.select(gateway_links.c.gateway_id, gateway_links.c.epoch).where(
            gateway_links.c.gateway_id == _any(gateway_ids)
        )
        async with self._database.statements() as connection:
            rows = await connection.execute(query)
            return {row.gateway_id: row.epoch for row in rows}

    async def current(self, charge_point_ids: Collection[str]) -> Mapping[str, Current]:
        """Return the newest connections of charge points, with their generations."""
        async with self._database.statements() as connection:
            rows = await connection.execute(_CURRENT, {"keys": list(charge_point_ids)})
            return {key: Current(known, generation) for key, known, generation in rows}

    async def silent(self, alive_since: datetime) -> Sequence[str]:
        """Return the gateway processes whose lease has run out."""
        query = sa.select(gateway_instances.c.gateway_instance_id).where(
            gateway_instances.c.beat_time <= alive_since
        )
        async with self._database.statements() as connection:
            return (await connection.scalars(query)).all()

    async def forget(self, instance_id: str, alive_since: datetime | None, now: datetime) -> bool:
        """Close what a gateway process held; false when it has given a sign of life since."""
        table = gateway_instances.c
        instance = table.gateway_instance_id == instance_id
        silent = sa.true() if alive_since is None else table.beat_time <= alive_since
        async with self._database.transaction() as connection:
            # Locked first: a gateway that links at this moment comes before or after, as a whole.
            beat_time = await connection.scalar(
                sa.select(table.beat_time).where(instance, silent).with_for_update()
            )
            if beat_time is None:
                return False
            await _close_all(connection, instance_id, now)
            await connection.execute(sa.delete(gateway_instances).where(instance))
        return True


def _next(gateway_id: str, instance_id: str, version: str, replica_id: str, now: datetime) -> Any:
    told = {
        "gateway_instance_id": instance_id,
        "replica_id": replica_id,
        "version": version,
        "link_time": now,
    }
    insert = pg.insert(gateway_links).values(gateway_id=gateway_id, epoch=1, **told)
    return insert.on_conflict_do_update(
        index_elements=["gateway_id"], set_={**told, "epoch": gateway_links.c.epoch + 1}
    ).returning(gateway_links.c.epoch)


def _others(gateway_id: str, instance_id: str) -> Any:
    table = gateway_instances.c
    return sa.select(table.gateway_instance_id).where(
        table.gateway_id == gateway_id, table.gateway_instance_id != instance_id
    )


async def _close_all(connection: AsyncConnection, instance_id: str, now: datetime) -> None:
    await connection.execute(
        sa.update(connections)
        .where(connections.c.gateway_instance_id == instance_id, connections.c.close_time.is_(None))
        .values(close_time=now, close_reason=_LOST)
    )


_CURRENT = sa.select(
    connections.c.charge_point_id, connections.c.connection_id, connections.c.generation
).where(
    connections.c.charge_point_id == sa.any_(sa.bindparam("keys", type_=pg.ARRAY(sa.Text))),
    connections.c.close_time.is_(None),
)


def _any(values: Collection[str]) -> sa.ColumnElement[Any]:
    return sa.any_(sa.cast(list(values), pg.ARRAY(sa.Text)))
