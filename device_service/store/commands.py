"""Commands in PostgreSQL."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from device_service.domain import ChargePointId, ChargePointNotFound
from device_service.domain.commands import (
    CallError,
    Command,
    CommandState,
    SessionOutcome,
)
from device_service.ports import Circumstances, Transition
from device_service.store.charge_points import is_online
from device_service.store.reports import require_charge_point, uuid_key
from device_service.store.tables import (
    charge_points,
    commands,
    connections,
    gateway_instances,
)
from servicekit.database import Database
from servicekit.pagination import Page, PageRequest, time_key, weight

_PLAIN = (
    *("command_id", "charge_point_id", "action", "request", "requester", "create_time"),
    *("expire_time", "answer_timeout", "deliver_when_online", "request_id", "request_digest"),
    *("traceparent", "handed_to", "handed_connection", "send_time", "complete_time"),
    *("response", "error", "session", "session_deadline"),
)
"""Attributes that are columns as they are."""

_CHANGING = (
    *("state", "handed_to", "handed_connection", "send_time", "complete_time", "response"),
    *("call_error_code", "call_error_description", "call_error_details", "error"),
    *("session", "session_outcome", "session_deadline"),
)

_DECIDING = ("state", "handed_to", "handed_connection", "session_outcome")
"""What every transition changes, and goes by: a command in which they are the same is the same."""

_IS_OPEN = commands.c.complete_time.is_(None)
_IS_WAITING = (
    _IS_OPEN & (commands.c.state == CommandState.PENDING.name) & (commands.c.handed_to == "")
)
_IS_UNDER_WAY = _IS_OPEN & (commands.c.handed_to != "")


class PostgresCommandStore:
    """Keeps commands in the schema of device_service; see the port for what it raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        command: Command,
        check: Callable[[Circumstances], None],
        *,
        max_open: int,
        alive_since: datetime,
        repeats_since: datetime,
    ) -> Command:
        """Keep a new command, or return the one that has its request id already."""
        plain = _to_row(command) | {"max_open": max_open, "alive_since": alive_since}
        async with self._database.statements() as connection:
            if await connection.scalar(_ADD, plain) is not None:
                return command
        async with self._database.transaction() as connection:
            online = await _lock_charge_point(connection, command.charge_point_id, alive_since)
            earlier = await _earlier(connection, command, repeats_since)
            if earlier is not None:
                return earlier
            check(Circumstances(online, await _count_open(connection, command.charge_point_id)))
            await connection.execute(sa.insert(commands).values(_to_row(command)))
        return command

    async def find(self, key: ChargePointId, command_id: uuid.UUID) -> Command | None:
        """Return a command of a charge point, if there is one."""
        async with self._database.statements() as connection:
            command = await _read(connection, command_id)
        return command if command is not None and command.charge_point_id == key else None

    async def list(
        self, page: PageRequest, key: ChargePointId | None, state: CommandState | None
    ) -> Page[Command]:
        """Return a page of commands, newest first, of one charge point or all; None keeps all."""
        wanted = sa.select(commands)
        if key is not None:
            wanted = wanted.where(commands.c.charge_point_id == key)
        if state is not None:
            wanted = wanted.where(commands.c.state == state.name)
        count = sa.select(sa.func.count()).select_from(wanted.subquery())
        newest = commands.c.create_time.desc(), commands.c.command_id.desc()
        query = wanted.where(_behind(page)).order_by(*newest).limit(page.size + 1)
        async with self._database.transaction() as connection:
            await require_charge_point(connection, key)
            total = await connection.scalar(count)
            rows = (await connection.execute(query)).mappings().all()
        return page.page([_to_command(row) for row in rows], total or 0, _sort_key, _weigh)

    async def claim_next(
        self, key: str, connection_id: str, instance_id: str, now: datetime
    ) -> Command | None:
        """Hand out the oldest command that waits, for the newest connection."""
        claim = {"key": key, "connection": connection_id, "instance": instance_id, "now": now}
        try:
            async with self._database.statements() as connection:
                row = (await connection.execute(_CLAIM, claim)).mappings().one_or_none()
        except sa.exc.IntegrityError:  # another replica handed one out at the same moment
            return None
        return _to_command(row) if row else None

    async def change(
        self, command_id: uuid.UUID, transition: Transition, known: Command | None = None
    ) -> Command | None:
        """Change a command and return it as it is then; None when there is no such command."""
        async with self._database.statements() as connection:
            if known is not None:
                after = transition(known)
                if after is not known and await _replace(connection, known, after):
                    return after
            while (before := await _read(connection, command_id)) is not None:
                after = transition(before)
                if after is before or await _replace(connection, before, after):
                    return after
        return None

    async def change_under_way(self, instance_id: str, transition: Transition) -> Sequence[Command]:
        """Change all that are under way at a gateway process; return those that changed."""
        wanted = _IS_UNDER_WAY & (commands.c.handed_to == instance_id)
        async with self._database.transaction() as connection:
            return await _change_all(connection, sa.select(commands).where(wanted), transition)

    async def change_overdue(
        self, now: datetime, transition: Transition, limit: int
    ) -> Sequence[Command]:
        """Change commands that wait although their time is over; return those that changed."""
        overdue = sa.select(commands).where(_IS_WAITING, commands.c.expire_time <= now)
        async with self._database.transaction() as connection:
            return await _change_all(connection, overdue.limit(limit), transition, skip_locked=True)

    async def awaited(self, limit: int) -> Sequence[Command]:
        """Return commands whose session is awaited, the most urgent first."""
        query = (
            sa.select(commands)
            .where(commands.c.session_outcome == SessionOutcome.AWAITED.name)
            .order_by(commands.c.session_deadline)
            .limit(limit)
        )
        async with self._database.statements() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_to_command(row) for row in rows]

    async def waiting(self, keys: Collection[str], now: datetime) -> Sequence[str]:
        """Return those of the charge points for which a command waits and none is under way."""
        query = (
            sa.select(commands.c.charge_point_id)
            .where(
                commands.c.charge_point_id == sa.any_(sa.cast(list(keys), pg.ARRAY(sa.Text))),
                _IS_OPEN,
            )
            .group_by(commands.c.charge_point_id)
            .having(
                sa.func.bool_or(_IS_WAITING & (commands.c.expire_time > now)),
                ~sa.func.bool_or(_IS_UNDER_WAY),
            )
        )
        async with self._database.statements() as connection:
            return list((await connection.scalars(query)).all())


async def _lock_charge_point(
    connection: AsyncConnection, key: ChargePointId, alive_since: datetime
) -> bool:
    """Let creations for one charge point wait for each other; tell whether it is connected."""
    online = await connection.scalar(_LOCK, {"charge_point_id": key, "alive_since": alive_since})
    if online is None:
        raise ChargePointNotFound(f"There is no charge point {key}.", charge_point=key)
    return bool(online)


async def _earlier(
    connection: AsyncConnection, command: Command, repeats_since: datetime
) -> Command | None:
    """Return the command that has the request id; one that is too old has to give it up."""
    if not command.request_id:
        return None
    of_request = (commands.c.charge_point_id == command.charge_point_id) & (
        commands.c.request_id == command.request_id
    )
    row = (await connection.execute(sa.select(commands).where(of_request))).mappings().one_or_none()
    if row is None:
        return None
    if row["create_time"] > repeats_since:
        return _to_command(row)
    await connection.execute(sa.update(commands).where(of_request).values(request_id=""))
    return None


def _lock() -> sa.Select[Any]:
    """Return what locks a charge point and tells whether it is connected."""
    alive_since = sa.bindparam("alive_since", type_=sa.TIMESTAMP(timezone=True))
    return (
        sa.select(is_online(alive_since).label("online"), charge_points.c.charge_point_id)
        .select_from(
            charge_points.outerjoin(
                connections, connections.c.charge_point_id == charge_points.c.charge_point_id
            ).outerjoin(
                gateway_instances,
                gateway_instances.c.gateway_instance_id == connections.c.gateway_instance_id,
            )
        )
        .where(charge_points.c.charge_point_id == sa.bindparam("charge_point_id"))
        .with_for_update(key_share=True, of=charge_points)
    )


def _add() -> sa.UpdateBase:
    """Return what keeps a command against whose creation nothing speaks."""
    names = [column.name for column in commands.c if column.name != "number"]
    values = {name: sa.bindparam(name, type_=commands.c[name].type) for name in names}
    charge_point = _LOCK.cte("charge_point")
    count = sa.func.count_open_commands(charge_point.c.charge_point_id, type_=sa.BigInteger)
    admitted = sa.select(*values.values()).where(
        charge_point.c.online | values["deliver_when_online"],
        count < sa.bindparam("max_open", type_=sa.BigInteger),
    )
    insert = pg.insert(commands).from_select(names, admitted).on_conflict_do_nothing()
    return insert.returning(commands.c.command_id)


async def _count_open(connection: AsyncConnection, key: ChargePointId) -> int:
    count = sa.select(sa.func.count()).where(commands.c.charge_point_id == key, _IS_OPEN)
    return await connection.scalar(count) or 0


async def _read(connection: AsyncConnection, command_id: uuid.UUID) -> Command | None:
    row = (await connection.execute(_READ, {"key": command_id})).mappings().one_or_none()
    return _to_command(row) if row else None


async def _replace(connection: AsyncConnection, before: Command, after: Command) -> bool:
    """Change a command; false when it is no longer as it was before."""
    known = _to_row(before)
    result = await connection.execute(
        _REPLACE, _changes(after) | {f"known_{name}": known[name] for name in _DECIDING}
    )
    return result.rowcount == 1


def _claim() -> sa.UpdateBase:
    """Return what hands out the oldest command that waits, if none is under way."""
    key: sa.BindParameter[str] = sa.bindparam("key")
    connection_id: sa.BindParameter[str] = sa.bindparam("connection")
    now = sa.bindparam("now", type_=sa.TIMESTAMP(timezone=True))
    under_way = commands.alias("under_way")
    is_newest = sa.exists().where(
        connections.c.charge_point_id == key,
        connections.c.connection_id == connection_id,
        connections.c.close_time.is_(None),
    )
    is_free = ~sa.exists().where(
        under_way.c.charge_point_id == key,
        under_way.c.complete_time.is_(None),
        under_way.c.handed_to != "",
    )
    oldest = (
        sa.select(commands.c.command_id)
        .where(
            commands.c.charge_point_id == key,
            _IS_WAITING,
            commands.c.expire_time > now,
            is_newest,
            is_free,
        )
        .order_by(commands.c.number)
        .limit(1)
        .with_for_update()
        .scalar_subquery()
    )
    return (
        sa.update(commands)
        .where(commands.c.command_id == oldest, _IS_WAITING)
        .values(handed_to=sa.bindparam("instance"), handed_connection=connection_id)
        .returning(commands)
    )


def _unchanged() -> sa.ColumnElement[bool]:
    known = {name: sa.bindparam(f"known_{name}", type_=commands.c[name].type) for name in _DECIDING}
    return sa.and_(*(commands.c[name].is_not_distinct_from(known[name]) for name in _DECIDING))


_LOCK = _lock()
_ADD = _add()
_CLAIM = _claim()
_READ = sa.select(commands).where(commands.c.command_id == sa.bindparam("key"))
_CHANGE = sa.update(commands).where(commands.c.command_id == sa.bindparam("key"))
_REPLACE = _CHANGE.where(_unchanged())


async def _change_all(
    connection: AsyncConnection,
    query: sa.Select[Any],
    transition: Transition,
    *,
    skip_locked: bool = False,
) -> list[Command]:
    locked = query.with_for_update(skip_locked=skip_locked)
    before = [_to_command(row) for row in (await connection.execute(locked)).mappings()]
    after = [transition(command) for command in before]
    changed = [new for old, new in zip(before, after, strict=True) if new is not old]
    await _write(connection, changed)
    return changed


async def _write(connection: AsyncConnection, changed: Sequence[Command]) -> None:
    if changed:
        await connection.execute(_CHANGE, [_changes(command) for command in changed])


def _changes(command: Command) -> dict[str, Any]:
    row = _to_row(command)
    return {name: row[name] for name in _CHANGING} | {"key": command.command_id}


def _behind(page: PageRequest) -> sa.ColumnElement[bool]:
    if page.after is None:
        return sa.true()
    created, command_id = page.after
    return sa.tuple_(commands.c.create_time, commands.c.command_id) < sa.tuple_(
        sa.literal(time_key(created), sa.TIMESTAMP(timezone=True)),
        sa.literal(uuid_key(command_id), sa.Uuid),
    )


def _weigh(command: Command) -> int:
    refusal = command.call_error.details if command.call_error else ""
    return weight(command.request, command.response, command.error, refusal)


def _sort_key(command: Command) -> tuple[str, str]:
    return command.create_time.isoformat(), str(command.command_id)


def _to_row(command: Command) -> dict[str, Any]:
    outcome = command.session_outcome
    error = command.call_error or (None, None, None)
    return {name: getattr(command, name) for name in _PLAIN} | {
        "state": command.state.name,
        "session_outcome": outcome.name if outcome else None,
        "call_error_code": error[0],
        "call_error_description": error[1],
        "call_error_details": error[2],
    }


def _to_command(row: Mapping[Any, Any]) -> Command:
    outcome, code = row["session_outcome"], row["call_error_code"]
    return Command(
        **{name: row[name] for name in _PLAIN},
        state=CommandState[row["state"]],
        session_outcome=SessionOutcome[outcome] if outcome else None,
        call_error=None
        if code is None
        else CallError(code, row["call_error_description"], row["call_error_details"]),
    )
