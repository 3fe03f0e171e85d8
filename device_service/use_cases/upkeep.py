"""What has to be done about commands from time to time; every replica does it, none in vain."""

from collections.abc import Awaitable, Callable
from functools import partial

from device_service.domain.commands import Command, SessionOutcome
from device_service.ports import CommandEvents, CommandStore, Sessions
from servicekit.clock import Clock

_BATCH = 500
_MAX_AWAITED = 100


def expire_overdue(
    store: CommandStore, events: CommandEvents, clock: Clock
) -> Callable[[], Awaitable[None]]:
    """Return what ends the commands that could not be sent in time."""

    async def expire() -> None:
        now = clock.now()
        while True:
            expired = await store.change_overdue(now, lambda command: command.expire(now), _BATCH)
            for command in expired:
                events.command_changed(str(command.command_id), command)
            if len(expired) < _BATCH:
                return

    return expire


def settle_sessions(
    store: CommandStore, sessions: Sessions, events: CommandEvents, clock: Clock
) -> Callable[[], Awaitable[None]]:
    """Return what finds the sessions that came of remote starts, or that none came in time.

    That none came is only said when session_service was asked after the deadline.
    """

    async def settle() -> None:
        for command in await store.awaited(_MAX_AWAITED):
            await _settle_one(command)

    async def _settle_one(command: Command) -> None:
        assert command.session_deadline is not None
        is_over = clock.now() >= command.session_deadline
        session = await sessions.find_started_by(command)
        if not session and not is_over:
            return
        outcome = SessionOutcome.STARTED if session else SessionOutcome.NONE_CAME
        settled = partial(Command.settle, outcome=outcome, session=session)
        changed = await store.change(command.command_id, settled)
        if changed is not None:
            events.command_changed(str(changed.command_id), changed)

    return settle
