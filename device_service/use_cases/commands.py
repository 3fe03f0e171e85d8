"""What operators do with commands."""

import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta

from device_service.domain import ChargePointId
from device_service.domain.commands import (
    Command,
    CommandNotFound,
    CommandState,
)
from device_service.ports import Circumstances, CommandEvents, CommandStore, Courier
from device_service.use_cases.waiters import Waiters
from servicekit.clock import Clock
from servicekit.errors import ServiceUnavailable
from servicekit.pagination import Page, PageRequest

_REPEATS_REMEMBERED = timedelta(hours=24)
_NO_WAIT = timedelta(0)


@dataclass(frozen=True)
class CommandRules:
    """What the installation decided about commands.

    Attributes:
        max_pending: Commands of one charge point that may be open at the same time.
        gateway_lease: After this time without a beat a gateway's charge points are offline.
    """

    max_pending: int
    gateway_lease: timedelta


class Commands:
    """Creates, shows, cancels and watches commands.

    Args:
        store: Keeps the commands.
        courier: Delivers them.
        events: Is told of what is changed here.
        waiters: The callers that wait at this replica.
        clock: Tells the time.
        rules: What the installation decided.
    """

    def __init__(
        self,
        store: CommandStore,
        courier: Courier,
        events: CommandEvents,
        waiters: Waiters,
        *,
        clock: Clock,
        rules: CommandRules,
    ) -> None:
        self._store, self._courier, self._events = store, courier, events
        self._waiters, self._clock, self._rules = waiters, clock, rules

    async def create(self, command: Command, wait: timedelta = _NO_WAIT) -> Command:
        """Store a command and have it delivered; a repeat returns the command of the first time.

        Raises:
            ChargePointNotFound: There is no such charge point.
            ChargePointOffline: It is away, and the command is not to wait for it.
            TooManyPendingCommands: Too many wait for it already.
            RequestIdReused: The request id was used for another command.
        """

        def check(found: Circumstances) -> None:
            command.admit(found.waiting, self._rules.max_pending, online=found.online)

        now = self._clock.now()
        stored = await self._store.add(
            command,
            check,
            max_open=self._rules.max_pending,
            alive_since=now - self._rules.gateway_lease,
            repeats_since=now - _REPEATS_REMEMBERED,
        )
        if stored is not command:
            command.repeats(stored)
        await self._courier.wake(command.charge_point_id)
        return await self._wait(stored, wait, is_new=stored is command)

    async def get(
        self, key: ChargePointId, command_id: uuid.UUID, wait: timedelta = _NO_WAIT
    ) -> Command:
        """Return a command, when it has ended or the time is over.

        Raises:
            CommandNotFound: There is no such command.
        """
        return await self._wait(await self._find(key, command_id), wait)

    async def list(
        self, page: PageRequest, key: ChargePointId | None, state: CommandState | None
    ) -> Page[Command]:
        """Return a page of commands, newest first; see the port."""
        return await self._store.list(page, key, state)

    async def cancel(self, key: ChargePointId, command_id: uuid.UUID) -> Command:
        """Cancel a command that nobody has begun to deliver.

        Raises:
            CommandNotFound: There is no such command.
            CommandNotPending: It is under way or has ended.
        """
        await self._find(key, command_id)
        now = self._clock.now()
        cancelled = await self._store.change(command_id, lambda command: command.cancel(now))
        self._events.command_changed(str(command_id), cancelled)
        return cancelled or await self._find(key, command_id)

    async def watch(
        self, key: ChargePointId, command_id: uuid.UUID
    ) -> AsyncGenerator[Command, None]:
        """Yield a command as it is now and after every change, until nothing more will happen.

        Raises:
            CommandNotFound: There is no such command.
            ServiceUnavailable: This replica stops.
        """
        with self._waiters.waiting_for(str(command_id)) as news:
            shown: Command | None = None
            while shown is None or not shown.is_settled:
                command = await self._find(key, command_id)
                if command != shown:
                    yield command
                    shown = command
                    continue
                if self._waiters.closed:
                    raise ServiceUnavailable("The service restarts; watch again.")
                await news.next()

    async def _wait(self, command: Command, wait: timedelta, *, is_new: bool = False) -> Command:
        """Return a command when it has ended or the time is over.

        One that is not new may have changed between the look at it and the begin of the wait.
        """
        if command.has_ended or wait <= _NO_WAIT:
            return command
        key, command_id = command.charge_point_id, command.command_id
        left, deadline = wait.total_seconds(), time.monotonic() + wait.total_seconds()
        with self._waiters.waiting_for(str(command_id)) as news:
            if not is_new:
                command = await self._find(key, command_id)
            while not (command.has_ended or left <= 0 or self._waiters.closed):
                command = await news.next(left) or await self._find(key, command_id)
                left = deadline - time.monotonic()
        return command

    async def _find(self, key: ChargePointId, command_id: uuid.UUID) -> Command:
        command = await self._store.find(key, command_id)
        if command is None:
            raise CommandNotFound(
                f"Charge point {key} has no command {command_id}.",
                charge_point=key,
                command=command_id,
            )
        return command
