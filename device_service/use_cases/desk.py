"""Where deliverers get commands and bring back what came of them."""

import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from device_service.domain.commands import (
    REMOTE_START,
    CallError,
    Command,
    CommandState,
    GatewayLost,
    Result,
)
from device_service.ports import CommandEvents, CommandStore, Delivery, Outcome
from servicekit.clock import Clock
from servicekit.errors import PlatformError

_MAX_REMEMBERED = 10_000


class Desk:
    """Hands out commands and takes their results; implements the port `CommandDesk`.

    Args:
        store: Keeps the commands.
        events: Is told of what is changed here.
        clock: Tells the time.
        is_accepted: Tells whether a serialized answer says Accepted.
        to_status: Returns an error as a serialized status.
        session_wait: How long the session of a remote start is awaited.
    """

    def __init__(
        self,
        store: CommandStore,
        events: CommandEvents,
        clock: Clock,
        *,
        is_accepted: Callable[[bytes], bool],
        to_status: Callable[[PlatformError], bytes],
        session_wait: timedelta,
    ) -> None:
        self._store, self._events, self._clock = store, events, clock
        self._is_accepted, self._to_status = is_accepted, to_status
        self._session_wait = session_wait
        self._handed_out: dict[uuid.UUID, Command] = {}  # as they are if nobody else changed them

    async def claim_next(
        self, charge_point_id: str, connection_id: str, gateway_instance_id: str
    ) -> Delivery | None:
        """Claim the oldest command that may be delivered now; see the port."""
        command = await self._store.claim_next(
            charge_point_id, connection_id, gateway_instance_id, self._clock.now()
        )
        if command is None:
            return None
        self._remember(command)
        return _to_delivery(command)

    async def sent(self, command_id: str, send_time: datetime) -> None:
        """Note that a command was written to its socket."""
        await self._change(command_id, lambda command: command.mark_sent(send_time))

    async def ended(self, outcome: Outcome) -> str:
        """Store how a command ended; return its charge point after the commit, empty: unknown."""
        result = Result(
            outcome.complete_time,
            outcome.sent,
            outcome.response,
            CallError(*outcome.call_error) if outcome.call_error else None,
            outcome.error,
        )
        accepted = bool(result.response) and self._is_accepted(result.response)
        deadline = self._clock.now() + self._session_wait

        def end(command: Command) -> Command:
            awaits_session = accepted and command.action == REMOTE_START
            return command.end(result, deadline if awaits_session else None)

        command = await self._change(outcome.command_id, end)
        return command.charge_point_id if command else ""

    async def release(self, command_id: str) -> None:
        """Let a command that was claimed, and certainly not delivered, wait again."""
        await self._change(command_id, Command.release)

    async def relinked(self, gateway_instance_id: str, unanswered: Collection[str]) -> None:
        """Settle what a gateway no longer knows of; see the port."""
        lost = self._lost()

        def reconcile(command: Command) -> Command:
            if str(command.command_id) in unanswered:
                return command
            return command.release() if command.state is CommandState.PENDING else lost(command)

        changed = await self._store.change_under_way(gateway_instance_id, reconcile)
        self._tell(changed)

    async def gateway_lost(self, gateway_instance_id: str) -> None:
        """End the commands that are under way at a gateway process: FAILED / GATEWAY_LOST."""
        self._tell(await self._store.change_under_way(gateway_instance_id, self._lost()))

    async def waiting(self, charge_point_ids: Collection[str]) -> Sequence[str]:
        """Return those of the charge points for which a command waits to be claimed."""
        return await self._store.waiting(charge_point_ids, self._clock.now())

    def _lost(self) -> Callable[[Command], Command]:
        now = self._clock.now()
        error = self._to_status(
            GatewayLost(
                "The gateway was lost; whether the charge point got the command is unknown."
            )
        )
        return lambda command: command.fail(now, error)

    async def _change(
        self, command_id: str, transition: Callable[[Command], Command]
    ) -> Command | None:
        try:
            key = uuid.UUID(command_id)
        except ValueError:
            return None  # as any other id that is not ours
        command = await self._store.change(key, transition, self._handed_out.pop(key, None))
        if command is not None:
            self._remember(command)
            self._tell([command])
        return command

    def _remember(self, command: Command) -> None:
        """Remember a command that is under way; the oldest may have ended at another replica."""
        if command.handed_to and not command.has_ended:
            self._handed_out[command.command_id] = command
            if len(self._handed_out) > _MAX_REMEMBERED:
                del self._handed_out[next(iter(self._handed_out))]

    def _tell(self, changed: Sequence[Command]) -> None:
        for command in changed:
            self._events.command_changed(str(command.command_id), command)


def _to_delivery(command: Command) -> Delivery:
    return Delivery(
        command_id=str(command.command_id),
        charge_point_id=command.charge_point_id,
        connection_id=command.handed_connection,
        expire_time=command.expire_time,
        answer_timeout=command.answer_timeout,
        traceparent=command.traceparent,
        request=command.request,
    )
