"""Writes a batch of facts in one transaction, with a number of statements that does not grow."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.domain import Connector, Notice, RefusedHandshake, State
from device_service.facts import (
    BootReported,
    ConnectionClosed,
    ConnectionOpened,
    Fact,
    GatewayBeat,
    GatewayLinked,
    NoticeReported,
    Registration,
    StatusReported,
)
from device_service.store.tables import (
    charge_points,
    connections,
    connectors,
    gateway_instances,
    given,
    insert_given,
    notices,
    refused_handshakes,
    status_history,
)
from servicekit.database import Database

MAX_REFUSED_HANDSHAKES = 10_000
_FORGET_GATEWAY_AFTER = timedelta(days=1)
_NOT_LISTED = "not held by its gateway any more"
_CONNECTOR = tuple(field.name for field in dataclasses.fields(Connector))

AnyFact = TypeVar("AnyFact", bound=Fact)


class FactWriter:
    """Stores facts; what one fact replaces of another is decided before the database is asked.

    Args:
        database: The database of the service.
        max_refused_handshakes: Entries kept of refused handshakes; the oldest go first.
    """

    def __init__(
        self, database: Database, max_refused_handshakes: int = MAX_REFUSED_HANDSHAKES
    ) -> None:
        self._database = database
        self._max_refused_handshakes = max_refused_handshakes

    async def write(self, facts: Sequence[Fact]) -> list[Registration | None]:
        """Store facts in one transaction; return what the records say about those that booted.

        Facts of one kind are stored in their order; those of different kinds touch different rows,
        except that connections are listed, then opened, then closed, then heard.

        Raises:
            DatabaseUnavailable: Nothing was stored.
        """
        async with self._database.transaction() as connection:
            registrations = await _boot(connection, _of(facts, BootReported))
            await _store_statuses(connection, _of(facts, StatusReported))
            await _store_last_statuses(connection, _of(facts, NoticeReported))
            await _store_notices(connection, _notices(facts))
            await _link(connection, _of(facts, GatewayLinked))
            await _open(connection, _of(facts, ConnectionOpened))
            await _close(connection, _of(facts, ConnectionClosed))
            await _beat(connection, _of(facts, GatewayBeat))
            await self._refuse(connection, _of(facts, RefusedHandshake))
        return [
            registrations.get(fact.charge_point_id) if isinstance(fact, BootReported) else None
            for fact in facts
        ]

    async def _refuse(
        self, connection: AsyncConnection, refused: Sequence[RefusedHandshake]
    ) -> None:
        if not refused:
            return
        insert = insert_given(refused_handshakes, _counted(refused), "charge_point_id", "reason")
        table, new = refused_handshakes.c, insert.excluded
        await connection.execute(
            insert.on_conflict_do_update(
                index_elements=["charge_point_id", "reason"],
                set_={
                    "remote_address": new.remote_address,
                    "last_refuse_time": sa.func.greatest(
                        table.last_refuse_time, new.last_refuse_time
                    ),
                    "refuse_count": table.refuse_count + new.refuse_count,
                },
            )
        )
        await connection.execute(_oldest_refused(self._max_refused_handshakes))


def latest(items: Iterable[Connector]) -> list[Connector]:
    """Return the connectors with what was true last, given in the order of receipt."""
    newest: dict[tuple[str, int], Connector] = {}
    for item in items:
        key = item.charge_point_id, item.connector_id
        if key not in newest or not item.is_older_than(newest[key]):
            newest[key] = item
    return list(newest.values())


async def _boot(
    connection: AsyncConnection, boots: Sequence[BootReported]
) -> Mapping[str, Registration]:
    if not boots:
        return {}
    last = sorted(
        {boot.charge_point_id: boot for boot in boots}.values(), key=lambda b: b.charge_point_id
    )
    unknown = [_new_row(boot, boot.state_if_unknown) for boot in last if boot.state_if_unknown]
    if unknown:
        insert = insert_given(charge_points, unknown, "charge_point_id")
        await connection.execute(insert.on_conflict_do_nothing())
    source = given(charge_points, [_boot_row(boot) for boot in last])
    told = {column.name: column for column in source.c if column.name != "charge_point_id"}
    await connection.execute(
        sa.update(charge_points)
        .where(charge_points.c.charge_point_id == source.c.charge_point_id)
        .where(_not_later(charge_points.c.last_boot_time, source.c.last_boot_time))
        .values(told)
    )
    return await _registrations(connection, [boot.charge_point_id for boot in last])


def _not_later(known: sa.ColumnElement[Any], told: sa.ColumnElement[Any]) -> Any:
    return known.is_(None) | (known <= told)


async def _registrations(
    connection: AsyncConnection, keys: Sequence[str]
) -> Mapping[str, Registration]:
    query = sa.select(
        charge_points.c.charge_point_id, charge_points.c.state, charge_points.c.heartbeat_interval
    ).where(charge_points.c.charge_point_id == sa.any_(sa.cast(keys, pg.ARRAY(sa.Text))))
    rows = await connection.execute(query)
    return {key: Registration(State[state], interval) for key, state, interval in rows}


async def _store_statuses(connection: AsyncConnection, reports: Sequence[StatusReported]) -> None:
    if not reports:
        return
    rows = [_connector_row(item) for item in latest(report.connector for report in reports)]
    insert = insert_given(connectors, rows, "charge_point_id", "connector_id")
    new = insert.excluded
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["charge_point_id", "connector_id"],
            set_={name: new[name] for name in rows[0]},
            where=sa.func.coalesce(connectors.c.orderly_time <= new.orderly_time, sa.true()),
        )
    )
    history = [_history_row(report.connector) for report in reports]
    order = "charge_point_id", "connector_id", "fact_time"
    await connection.execute(insert_given(status_history, history, *order).on_conflict_do_nothing())


async def _store_last_statuses(
    connection: AsyncConnection, reports: Sequence[NoticeReported]
) -> None:
    for name in ("firmware_status", "diagnostics_status"):
        last = {
            report.notice.charge_point_id: getattr(report, name)
            for report in reports
            if getattr(report, name)
        }
        if last:
            rows = [{"charge_point_id": key, name: value} for key, value in sorted(last.items())]
            source = given(charge_points, rows)
            await connection.execute(
                sa.update(charge_points)
                .where(charge_points.c.charge_point_id == source.c.charge_point_id)
                .values({name: source.c[name]})
            )


async def _store_notices(connection: AsyncConnection, items: Sequence[Notice]) -> None:
    if items:
        insert = pg.insert(notices).on_conflict_do_nothing()
        ordered = sorted(items, key=lambda item: (item.charge_point_id, item.receive_time))
        await connection.execute(insert, [_notice_row(item) for item in ordered])


async def _open(connection: AsyncConnection, opened: Sequence[ConnectionOpened]) -> None:
    if not opened:
        return
    await _prolong(connection, opened)
    newest: dict[str, ConnectionOpened] = {}
    for item in opened:
        known = newest.get(item.charge_point_id)
        if known is None or known.open_time <= item.open_time:
            newest[item.charge_point_id] = item
    rows = [_connection_row(item) for item in newest.values()]
    insert = insert_given(connections, rows, "charge_point_id")
    new, ended = insert.excluded, ("close_time", "close_code", "close_reason")
    changes: dict[str, Any] = {name: new[name] for name in rows[0]} | dict.fromkeys(
        ended, sa.null()
    )
    changes["generation"] = connections.c.generation + 1
    changes["last_seen_time"] = sa.func.greatest(connections.c.last_seen_time, new.last_seen_time)
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["charge_point_id"],
            set_=changes,
            # A report that is sent again neither opens a connection anew nor replaces a newer one.
            # An older one counts again when the newest has ended.
            where=(connections.c.connection_id != new.connection_id)
            & ((connections.c.open_time <= new.open_time) | connections.c.close_time.is_not(None)),
        )
    )


async def _link(connection: AsyncConnection, linked: Sequence[GatewayLinked]) -> None:
    for item in linked:
        await _prolong(connection, [item])
        await _open(connection, item.opened)
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


async def _close(connection: AsyncConnection, closed: Sequence[ConnectionClosed]) -> None:
    if not closed:
        return
    rows = [_close_row(item) for item in sorted(closed, key=lambda item: item.charge_point_id)]
    source = given(connections, rows)
    await connection.execute(
        sa.update(connections)
        .where(
            connections.c.charge_point_id == source.c.charge_point_id,
            connections.c.connection_id == source.c.connection_id,
            connections.c.close_time.is_(None),
        )
        .values({name: source.c[name] for name in ("close_time", "close_code", "close_reason")})
    )


async def _beat(connection: AsyncConnection, beats: Sequence[GatewayBeat]) -> None:
    if not beats:
        return
    await _prolong(connection, beats)
    seen: dict[str, datetime] = {}
    for beat in beats:
        for key, time in beat.seen.items():
            seen[key] = max(time, seen.get(key, time))
    if seen:
        rows = [{"charge_point_id": key, "last_seen_time": time} for key, time in seen.items()]
        await connection.execute(_heard(rows))


def _heard(rows: Sequence[Mapping[str, Any]]) -> sa.Update:
    """Return the update of the times; it locks in the order of keys, like every other writer."""
    source = given(connections, rows)
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
    table = gateway_instances.c
    insert = insert_given(gateway_instances, list(last.values()), "gateway_instance_id")
    later = sa.func.greatest(table.beat_time, insert.excluded.beat_time)
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["gateway_instance_id"], set_={"beat_time": later}
        )
    )
    gone = max(sign.beat_time for sign in signs) - _FORGET_GATEWAY_AFTER
    await connection.execute(sa.delete(gateway_instances).where(table.beat_time < gone))


def _oldest_refused(kept: int) -> sa.Delete:
    table = refused_handshakes.c
    oldest = (
        sa.select(table.charge_point_id, table.reason)
        .order_by(table.last_refuse_time.desc(), table.charge_point_id.desc(), table.reason.desc())
        .offset(kept)
    )
    return sa.delete(refused_handshakes).where(
        sa.tuple_(table.charge_point_id, table.reason).in_(oldest)
    )


def _counted(refused: Sequence[RefusedHandshake]) -> list[dict[str, Any]]:
    """Return one row for each identity and reason, as the table can take a key once a statement."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for item in refused:
        row = rows.setdefault((item.charge_point_id, item.reason), dataclasses.asdict(item))
        if row["last_refuse_time"] <= item.last_refuse_time:
            row["last_refuse_time"] = item.last_refuse_time
            row["remote_address"] = item.remote_address
        row["first_refuse_time"] = min(row["first_refuse_time"], item.first_refuse_time)
        row["count"] = row.get("count", 0) + item.refuse_count
    return [row | {"refuse_count": row.pop("count")} for row in rows.values()]


def _of(facts: Sequence[Fact], kind: type[AnyFact]) -> list[AnyFact]:
    return [fact for fact in facts if isinstance(fact, kind)]


def _notices(facts: Sequence[Fact]) -> list[Notice]:
    carriers = (BootReported, StatusReported, NoticeReported)
    return [fact.notice for fact in facts if isinstance(fact, carriers) and fact.notice is not None]


def _boot_row(boot: BootReported) -> dict[str, Any]:
    return {
        "charge_point_id": boot.charge_point_id,
        "last_boot_time": boot.receive_time,
        **dataclasses.asdict(boot.hardware),
    }


def _new_row(boot: BootReported, state: State) -> dict[str, Any]:
    return {
        "charge_point_id": boot.charge_point_id,
        "state": state.name,
        "create_time": boot.receive_time,
        "update_time": boot.receive_time,
        "etag": boot.etag,
    }


def _values(item: Connector) -> dict[str, Any]:
    """Do what `dataclasses.asdict` does without its deep copies: this path is the busiest."""
    return {name: getattr(item, name) for name in _CONNECTOR}


def _connector_row(item: Connector) -> dict[str, Any]:
    return _values(item) | {"orderly_time": item.orderly_time}


def _history_row(item: Connector) -> dict[str, Any]:
    content = (item.status, item.error_code, item.info, item.vendor_id, item.vendor_error_code)
    return _values(item) | {
        "fact_time": item.status_time or item.receive_time,
        "content_digest": _digest(*content),
    }


def _notice_row(item: Notice) -> dict[str, Any]:
    return dataclasses.asdict(item) | {
        "repairs": list(item.repairs),
        "content_digest": _digest(item.connection_id, item.message_id, item.action, item.payload),
    }


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


def _digest(*content: str) -> bytes:
    """Return what stands for a content of any length in a unique index."""
    return hashlib.blake2b("\0".join(content).encode(), digest_size=16).digest()
