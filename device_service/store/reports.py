"""What charge points reported, in PostgreSQL: for reading."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.domain import (
    ChargePointId,
    ChargePointNotFound,
    Connector,
    Notice,
    RefusedHandshake,
    connector_id,
)
from device_service.store.tables import (
    charge_points,
    connectors,
    notices,
    refused_handshakes,
)
from servicekit.database import Database
from servicekit.errors import InvalidPageToken
from servicekit.pagination import Page, PageRequest, time_key, weight

_TIME = sa.TIMESTAMP(timezone=True)


class PostgresReportStore:
    """Shows what the schema of device_service holds; see the port for what it raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_connector(self, key: ChargePointId, number: int) -> Connector | None:
        """Return a connector, if it was ever reported."""
        query = sa.select(connectors).where(
            connectors.c.charge_point_id == key, connectors.c.connector_id == number
        )
        async with self._database.statements() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return _to_connector(row) if row else None

    async def list_connectors(
        self, page: PageRequest, key: ChargePointId | None
    ) -> Page[Connector]:
        """Return a page of connectors by charge point and number, of one charge point or all."""
        wanted = sa.select(connectors).where(_of(connectors, key))
        order = (connectors.c.charge_point_id, connectors.c.connector_id)
        query = wanted.where(_behind_connector(page)).order_by(*order)
        async with self._database.transaction() as connection:
            await require_charge_point(connection, key)
            rows, total = await _read(connection, wanted, query, page)
        return page.page([_to_connector(row) for row in rows], total, _connector_key)

    async def list_notices(
        self, page: PageRequest, key: ChargePointId | None, action: str
    ) -> Page[Notice]:
        """Return a page of notices, newest first, of one charge point or all, one action or all."""
        of_action = notices.c.action == action if action else sa.true()
        wanted = sa.select(notices).where(_of(notices, key), of_action)
        query = wanted.where(_behind_notice(page)).order_by(
            notices.c.receive_time.desc(), notices.c.notice_id.desc()
        )
        async with self._database.transaction() as connection:
            await require_charge_point(connection, key)
            rows, total = await _read(connection, wanted, query, page)
        return page.page([_to_notice(row) for row in rows], total, _notice_key, _weigh)

    async def list_refused_handshakes(self, page: PageRequest) -> Page[RefusedHandshake]:
        """Return a page of refused handshakes, newest first."""
        table = refused_handshakes.c
        wanted = sa.select(refused_handshakes)
        query = wanted.where(_behind_refused(page)).order_by(
            table.last_refuse_time.desc(), table.charge_point_id.desc(), table.reason.desc()
        )
        async with self._database.transaction() as connection:
            rows, total = await _read(connection, wanted, query, page)
        return page.page([RefusedHandshake(**row) for row in rows], total, _refused_key)


async def require_charge_point(connection: AsyncConnection, key: ChargePointId | None) -> None:
    """Raise ChargePointNotFound unless there is such a charge point; None stands for all."""
    if key is None:
        return
    query = sa.select(sa.literal(1)).where(charge_points.c.charge_point_id == key)
    if await connection.scalar(query) is None:
        raise ChargePointNotFound(f"There is no charge point {key}.", charge_point=key)


async def _read(
    connection: AsyncConnection, wanted: sa.Select[Any], query: sa.Select[Any], page: PageRequest
) -> tuple[list[Mapping[Any, Any]], int]:
    total = await connection.scalar(sa.select(sa.func.count()).select_from(wanted.subquery()))
    rows = (await connection.execute(query.limit(page.size + 1))).mappings().all()
    return list(rows), total or 0


def _of(table: sa.Table, key: ChargePointId | None) -> sa.ColumnElement[bool]:
    return sa.true() if key is None else table.c.charge_point_id == key


def _behind_connector(page: PageRequest) -> sa.ColumnElement[bool]:
    if page.after is None:
        return sa.true()
    charge_point, number = page.after
    key = sa.tuple_(connectors.c.charge_point_id, connectors.c.connector_id)
    return key > sa.tuple_(sa.literal(charge_point), sa.literal(_number_key(number)))


def _behind_notice(page: PageRequest) -> sa.ColumnElement[bool]:
    if page.after is None:
        return sa.true()
    received, notice_id = page.after
    key = sa.tuple_(notices.c.receive_time, notices.c.notice_id)
    return key < sa.tuple_(
        sa.literal(time_key(received), _TIME), sa.literal(uuid_key(notice_id), sa.Uuid)
    )


def _behind_refused(page: PageRequest) -> sa.ColumnElement[bool]:
    if page.after is None:
        return sa.true()
    refused, identity, reason = page.after
    table = refused_handshakes.c
    key = sa.tuple_(table.last_refuse_time, table.charge_point_id, table.reason)
    return key < sa.tuple_(
        sa.literal(time_key(refused), _TIME), sa.literal(identity), sa.literal(reason)
    )


def _number_key(value: str) -> int:
    try:
        return connector_id(value)
    except ValueError:
        raise InvalidPageToken("The page token is not one that this list made.") from None


def uuid_key(value: str) -> UUID:
    """Return the UUID in a page token's key, or raise InvalidPageToken."""
    try:
        return UUID(value)
    except ValueError:
        raise InvalidPageToken("The page token is not one that this list made.") from None


def _connector_key(connector: Connector) -> tuple[str, str]:
    return connector.charge_point_id, str(connector.connector_id)


def _weigh(notice: Notice) -> int:
    return weight(notice.payload, notice.raw_frame)


def _notice_key(notice: Notice) -> tuple[str, str]:
    return notice.receive_time.isoformat(), str(notice.notice_id)


def _refused_key(refused: RefusedHandshake) -> tuple[str, str, str]:
    return refused.last_refuse_time.isoformat(), refused.charge_point_id, refused.reason


def _to_connector(row: Mapping[Any, Any]) -> Connector:
    return Connector(**{name: row[name] for name in row if name != "orderly_time"})


def _to_notice(row: Mapping[Any, Any]) -> Notice:
    values = {name: row[name] for name in row if name != "content_digest"}
    return Notice(**(values | {"repairs": tuple(row["repairs"])}))
