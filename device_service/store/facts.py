"""Writes a batch of facts in one transaction, with a number of statements that does not grow."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
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
from device_service.store import presence
from device_service.store.tables import (
    charge_points,
    connectors,
    given,
    insert_given,
    notices,
    refused_handshakes,
    status_history,
)
from servicekit.database import Database

MAX_REFUSED_HANDSHAKES = 10_000
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
            await presence.store_links(connection, _of(facts, GatewayLinked))
            await presence.store_openings(connection, _of(facts, ConnectionOpened))
            await presence.store_closings(connection, _of(facts, ConnectionClosed))
            await presence.store_beats(connection, _of(facts, GatewayBeat))
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


def _digest(*content: str) -> bytes:
    """Return what stands for a content of any length in a unique index."""
    return hashlib.blake2b("\0".join(content).encode(), digest_size=16).digest()
