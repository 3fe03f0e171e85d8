"""The commands of charge points, and what comes of them."""

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from device_service.domain import (
    ChargePointId,
)
from device_service.domain.commands import Command, CommandState
from servicekit.pagination import Page, PageRequest


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a command would be created into.

    Attributes:
        online: Whether the charge point is connected.
        waiting: How many commands of the charge point have not ended.
    """

    online: bool
    waiting: int


Transition = Callable[[Command], Command]
"""Returns a command as it is after something happened; the same one when nothing changes."""


class CommandStore(Protocol):
    """Keeps commands; what is returned is committed.

    A transition is applied to the command as it is at that moment, and nobody else changes it
    meanwhile. What a transition raises leaves the method, and nothing is changed.
    """

    async def add(
        self,
        command: Command,
        check: Callable[[Circumstances], None],
        *,
        max_open: int,
        alive_since: datetime,
        repeats_since: datetime,
    ) -> Command:
        """Keep a new command, or return the one that has its request id already.

        Args:
            command: The new command.
            check: Raises what speaks against the creation; asked about all that is not plain.
            max_open: With fewer open commands of a charge point that is connected, or for which the
                command may wait, the creation is plain.
            alive_since: Since when a gateway must have given a sign of life.
            repeats_since: Since when request ids are remembered.

        Raises:
            ChargePointNotFound: There is no such charge point.
        """

    async def find(self, key: ChargePointId, command_id: uuid.UUID) -> Command | None:
        """Return a command of a charge point, if there is one."""

    async def list(
        self, page: PageRequest, key: ChargePointId | None, state: CommandState | None
    ) -> Page[Command]:
        """Return a page of commands, newest first, of one charge point or all; None keeps all.

        Raises:
            ChargePointNotFound: There is no such charge point.
        """

    async def claim_next(
        self, key: str, connection_id: str, instance_id: str, now: datetime
    ) -> Command | None:
        """Hand out the oldest command that waits, for the newest connection of the charge point.

        None when none waits, one is under way, or the connection is not the newest.
        """

    async def change(
        self, command_id: uuid.UUID, transition: Transition, known: Command | None = None
    ) -> Command | None:
        """Change a command and return it as it is then; None when there is no such command.

        Args:
            command_id: The command.
            transition: What happens to it; must not raise when it is known.
            known: What it is as far as the caller knows; saves a look when that is still true.
        """

    async def change_under_way(self, instance_id: str, transition: Transition) -> Sequence[Command]:
        """Change all that are under way at a gateway process; return those that changed."""

    async def change_overdue(
        self, now: datetime, transition: Transition, limit: int
    ) -> Sequence[Command]:
        """Change commands that wait although their time is over; return those that changed."""

    async def awaited(self, limit: int) -> Sequence[Command]:
        """Return commands whose session is awaited, the most urgent first."""

    async def waiting(self, keys: Collection[str], now: datetime) -> Sequence[str]:
        """Return those of the charge points for which a command waits and none is under way."""


class CommandEvents(Protocol):
    """Tells those who wait for commands, wherever they wait."""

    def command_changed(self, command_id: str, command: Command | None = None) -> None:
        """Tell that a command changed; waits for nothing.

        Args:
            command_id: The command.
            command: What it has become; None: whoever wants to know has to look.
        """


class Sessions(Protocol):
    """Knows the charging sessions."""

    async def find_started_by(self, command: Command) -> str:
        """Return the name of the session that came of a remote start; empty: none so far.

        Raises:
            ServiceUnavailable: There was no answer in time.
        """


@dataclass(frozen=True, slots=True)
class Delivery:
    """A command that was claimed for a connection, as its gateway needs it.

    Attributes:
        command_id: The only key by which the result is matched.
        connection_id: The connection that it was claimed for.
        expire_time: Until when it may be written to the socket.
        answer_timeout: How long the charge point has for its answer.
        traceparent: Continues the trace of the caller; empty: not sampled.
        request: The `csms.ocpp.v16.CentralSystemCall`, serialized.
    """

    command_id: str
    charge_point_id: str
    connection_id: str
    expire_time: datetime
    answer_timeout: timedelta
    traceparent: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended at its gateway; one of the last three is set.

    Attributes:
        sent: Whether it was written to the socket; one that was not may be delivered later.
        response: The `csms.ocpp.v16.CentralSystemAnswer`, serialized.
        call_error: Code, description and details (JSON) of the charge point's CALLERROR.
        error: The `google.rpc.Status`, serialized, that tells why there is neither.
    """

    command_id: str
    complete_time: datetime
    sent: bool
    response: bytes = b""
    call_error: tuple[str, str, str] | None = None
    error: bytes = b""


class CommandDesk(Protocol):
    """Hands out commands for delivery and takes what came of them; every method is idempotent."""

    async def claim_next(
        self, charge_point_id: str, connection_id: str, gateway_instance_id: str
    ) -> Delivery | None:
        """Claim the oldest command that may be delivered now, if none is under way.

        Nothing is claimed for a connection that is not the charge point's newest.
        """

    async def sent(self, command_id: str, send_time: datetime) -> None:
        """Note that a command was written to its socket."""

    async def ended(self, outcome: Outcome) -> str:
        """Store how a command ended; return its charge point after the commit, empty: unknown."""

    async def release(self, command_id: str) -> None:
        """Let a command that was claimed, and certainly not delivered, wait again."""

    async def relinked(self, gateway_instance_id: str, unanswered: Collection[str]) -> None:
        """Take back the commands that a gateway was to get and does not list: they wait again.

        Those that it had sent and does not list either end FAILED / GATEWAY_LOST.
        """

    async def gateway_lost(self, gateway_instance_id: str) -> None:
        """End the commands that are under way at a gateway process: FAILED / GATEWAY_LOST."""

    async def waiting(self, charge_point_ids: Collection[str]) -> Sequence[str]:
        """Return those of the charge points for which a command waits to be claimed."""
