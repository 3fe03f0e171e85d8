"""What the use cases need from outside."""

import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from device_service.domain import (
    ChargePoint,
    ChargePointId,
    Connector,
    Notice,
    RefusedHandshake,
    State,
)
from device_service.domain.commands import Command, CommandState
from device_service.domain.frames import Frame
from device_service.facts import Fact, Registration
from servicekit.pagination import Page, PageRequest


class ChargePointStore(Protocol):
    """Keeps the records of charge points.

    `alive_since` is the time since which a gateway must have given a sign of life for its charge
    points to count as online.
    """

    async def find(self, key: ChargePointId, alive_since: datetime) -> ChargePoint | None:
        """Return the charge point with this identity, if there is one."""

    async def look_up(self, keys: Sequence[ChargePointId]) -> Sequence[bool | None]:
        """Tell of each, in order, whether it may come without a subprotocol; None: no record."""

    async def list(
        self, page: PageRequest, alive_since: datetime, state: State | None, online: bool | None
    ) -> Page[ChargePoint]:
        """Return a page of charge points, newest first; None keeps all."""

    async def add(self, charge_point: ChargePoint) -> None:
        """Keep a new charge point.

        Raises:
            ChargePointAlreadyExists: Its identity is taken.
        """

    async def change(
        self, key: ChargePointId, changes: Mapping[str, Any], expected_etag: str
    ) -> None:
        """Change attributes of a charge point; an empty etag stands for whatever is current.

        Raises:
            ChargePointNotFound: There is none.
            EtagMismatch: It has another etag than expected.
        """

    async def remove(self, key: ChargePointId) -> None:
        """Forget a charge point with its connectors and notices.

        Raises:
            ChargePointNotFound: There is none.
        """


class ReportStore(Protocol):
    """Shows what charge points reported."""

    async def find_connector(self, key: ChargePointId, number: int) -> Connector | None:
        """Return a connector, if it was ever reported."""

    async def list_connectors(
        self, page: PageRequest, key: ChargePointId | None
    ) -> Page[Connector]:
        """Return a page of connectors by charge point and number, of one charge point or all.

        Raises:
            ChargePointNotFound: There is no such charge point.
        """

    async def list_notices(
        self, page: PageRequest, key: ChargePointId | None, action: str
    ) -> Page[Notice]:
        """Return a page of notices, newest first, of one charge point or all, one action or all.

        Raises:
            ChargePointNotFound: There is no such charge point.
        """

    async def list_refused_handshakes(self, page: PageRequest) -> Page[RefusedHandshake]:
        """Return a page of refused handshakes, newest first."""


class Recorder(Protocol):
    """Stores facts; those that come at the same time are committed together."""

    async def submit(self, item: Fact) -> Registration | None:
        """Return once the fact is committed; a boot has what the record of its charge point says.

        Raises:
            QueueFull: Too many facts wait already.
            DatabaseUnavailable: The fact was not stored.
        """

    async def submit_all(self, items: Sequence[Fact]) -> Sequence[Registration | Exception | None]:
        """Return once all facts are settled: for each the same, or why it was not stored.

        Raises:
            QueueFull: Too many facts wait already.
        """


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


@dataclass(frozen=True, slots=True)
class Linked:
    """A link that was numbered.

    Attributes:
        predecessors: Other processes of the same gateway, which this one has taken the place of.
    """

    epoch: int
    predecessors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Current:
    """The newest connection of a charge point; its generation grows with each."""

    connection_id: str
    generation: int


class GatewayStore(Protocol):
    """Keeps which gateways there are, which of their links is the newest, and which live."""

    async def link(
        self, gateway_id: str, instance_id: str, version: str, replica_id: str, now: datetime
    ) -> Linked:
        """Number a new link, and name the other processes of this gateway that are known."""

    async def epochs(self, gateway_ids: Collection[str]) -> Mapping[str, int]:
        """Return the epochs of the newest links of gateways, wherever they are."""

    async def current(self, charge_point_ids: Collection[str]) -> Mapping[str, Current]:
        """Return the newest connections of charge points, as far as they are open."""

    async def silent(self, alive_since: datetime) -> Sequence[str]:
        """Return the gateway processes that have given no sign of life since."""

    async def forget(self, instance_id: str, alive_since: datetime | None, now: datetime) -> bool:
        """Close what a gateway process holds and forget it; None: whether it lives or not.

        False when it has given a sign of life since, or is forgotten already.
        """


class Courier(Protocol):
    """Delivers commands."""

    async def wake(self, charge_point_id: str) -> None:
        """Tell that a command waits for a charge point; returns before it is delivered."""


class FrameSource(Protocol):
    """Shows what passes on the wires of charge points."""

    def watch(self, charge_point_id: str) -> AsyncGenerator[Frame, None]:
        """Yield the frames that are kept, then each as it passes, without an end.

        Raises:
            ChargePointOffline: It is not connected.
            ServiceUnavailable: Another replica holds it; ask again, and another one answers.
            QueueFull: Too many watch already.
        """


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """Says that a replica holds the link of the gateway to which a charge point is connected.

    Attributes:
        generation: Of the charge point's connection; the newest is the charge point.
        epoch: Of the gateway's link; of two links with one connection the newest has it.
    """

    charge_point_id: str
    generation: int
    epoch: int


class RegistryListener(Protocol):
    """Is told what other replicas say; no method waits for anything."""

    def wake(self, charge_point_id: str) -> None:
        """Take note that a command waits for a charge point."""

    def command_changed(self, command_id: str) -> None:
        """Take note that a command changed."""

    def linked(self, gateway_id: str, epoch: int) -> None:
        """Take note that a gateway has a link with this epoch, at whichever replica."""

    def leases(self) -> Sequence[Lease]:
        """Return what this replica holds, to be registered again."""

    def superseded(self, lease: Lease) -> None:
        """Take note that another replica holds a newer connection, or a newer link."""


class ConnectionRegistry(Protocol):
    """Tells replicas which of them holds the link of a charge point's gateway.

    It makes things fast, never right: commands are in the database, which replicas also ask from
    time to time. So no method raises when the registry is away, and none waits for it long.
    """

    async def hold(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Register or prolong leases of this replica; return those that newer ones outdo."""

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up leases; changes nothing where another replica, or a newer one, has taken over."""

    async def holder(self, charge_point_id: str) -> str:
        """Return the id of the replica that holds the charge point; empty: none is known."""

    def wake(self, charge_point_id: str) -> None:
        """Tell the replica that holds a charge point, or all when none is known, of a command."""

    def command_changed(self, command_id: str) -> None:
        """Tell the other replicas that a command changed."""

    def linked(self, gateway_id: str, epoch: int) -> None:
        """Tell the other replicas that a gateway has a new link here."""

    async def run(self, listener: RegistryListener) -> None:
        """Pass on what other replicas say, and keep the leases alive, until cancelled."""
