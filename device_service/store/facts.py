"""Writes a batch of facts in one transaction, with a number of statements that does not grow."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.domain import Notice, RefusedHandshake
from device_service.facts import (
    BootReported,
    ConnectionClosed,
    ConnectionOpened,
    Fact,
    GatewayBeat,
    GatewayLinked,
    Introduced,
    NoticeReported,
    Registration,
    StatusReported,
)
from device_service.store import boots, presence
from device_service.store.statuses import digest, store_statuses
from device_service.store.tables import (
    charge_points,
    insert_given,
    notices,
    refused_handshakes,
    rows_of,
    update_given,
)
from servicekit.database import Database

MAX_REFUSED_HANDSHAKES = 10_000

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
        except that charge points are introduced before their records change, and that connections
        are listed, then opened, then closed, then heard.

        Raises:
            DatabaseUnavailable: Nothing was stored.
        """
        statuses = [fact.connector for fact in _of(facts, StatusReported)]
        booted, told = _of(facts, BootReported), _of(facts, NoticeReported)
        unknown = [boot.introduced for boot in booted if boot.introduced]
        changed = [boot.charge_point_id for boot in booted] + _changed(told)
        async with self._database.transaction() as connection:
            await boots.introduce(connection, [*_of(facts, Introduced), *unknown])
            await boots.lock(connection, changed)
            registrations = await boots.store_boots(connection, booted)
            await store_statuses(connection, statuses)
            await _store_last_statuses(connection, told)
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
        if refused:
            await connection.execute(_REFUSE, rows_of(_counted(refused)))
            await connection.execute(_oldest_refused(self._max_refused_handshakes))


def _count_refused() -> sa.Insert:
    names = [column.name for column in refused_handshakes.c]
    insert = insert_given(refused_handshakes, names, "charge_point_id", "reason")
    table, new = refused_handshakes.c, insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["charge_point_id", "reason"],
        set_={
            "remote_address": new.remote_address,
            "last_refuse_time": sa.func.greatest(table.last_refuse_time, new.last_refuse_time),
            "refuse_count": table.refuse_count + new.refuse_count,
        },
    )


def _keep_notices() -> sa.Insert:
    names = [column.name for column in notices.c]
    return insert_given(notices, names, "charge_point_id", "receive_time").on_conflict_do_nothing()


_REFUSE, _NOTICE = _count_refused(), _keep_notices()
_LAST_STATUS = {
    name: update_given(charge_points, "charge_point_id", name)
    for name in ("firmware_status", "diagnostics_status")
}


def _changed(reports: Sequence[NoticeReported]) -> list[str]:
    """Return the charge points whose records tell what is reported."""
    return [
        report.notice.charge_point_id
        for report in reports
        if any(getattr(report, name) for name in _LAST_STATUS)
    ]


async def _store_last_statuses(
    connection: AsyncConnection, reports: Sequence[NoticeReported]
) -> None:
    for name, update in _LAST_STATUS.items():
        last = {
            report.notice.charge_point_id: getattr(report, name)
            for report in reports
            if getattr(report, name)
        }
        if last:
            rows = [{"charge_point_id": key, name: value} for key, value in last.items()]
            await connection.execute(update, rows_of(rows))


async def _store_notices(connection: AsyncConnection, items: Sequence[Notice]) -> None:
    if items:
        await connection.execute(_NOTICE, rows_of([_notice_row(item) for item in items]))


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


def _notice_row(item: Notice) -> Mapping[str, Any]:
    return dataclasses.asdict(item) | {
        "content_digest": digest(item.connection_id, item.message_id, item.action, item.payload),
    }
