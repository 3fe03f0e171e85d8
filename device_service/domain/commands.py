"""Commands to charge points: what states they go through, and what refuses them.

Payloads are carried as serialized messages; only adapters can read them.
"""

import enum
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from device_service.domain.charge_points import ChargePointId
from servicekit.errors import ErrorKind, PlatformError

REMOTE_START = "RemoteStartTransaction"
"""The action whose outcome is a session (OCPP 1.6 6.33)."""

DEFAULT_ANSWER_TIMEOUT = timedelta(seconds=60)
_ANSWER_TIMEOUTS = (timedelta(seconds=1), timedelta(minutes=10))
_DEFAULT_LIFETIME = timedelta(minutes=1)
_DEFAULT_LIFETIME_OFFLINE = timedelta(days=1)
_MAX_LIFETIME = timedelta(days=30)
_MAX_WAIT = timedelta(minutes=5)
_RETRY_AFTER = timedelta(seconds=5)


class CommandNotFound(PlatformError):
    """No command has this name."""

    kind, reason = ErrorKind.NOT_FOUND, "COMMAND_NOT_FOUND"


class ChargePointOffline(PlatformError):
    """The charge point has no connection, and the command was not to wait for one."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "CHARGE_POINT_OFFLINE"


class TooManyPendingCommands(PlatformError):
    """Too many commands wait for the charge point."""

    kind, reason = ErrorKind.RESOURCE_EXHAUSTED, "TOO_MANY_PENDING_COMMANDS"


class CommandNotPending(PlatformError):
    """The command is under way or has ended, and cannot be cancelled any more."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "COMMAND_NOT_PENDING"


class RequestIdReused(PlatformError):
    """A request id was used before for another request."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "REQUEST_ID_REUSED"


class GatewayLost(PlatformError):
    """The gateway was lost while the command was under way."""

    kind, reason = ErrorKind.UNAVAILABLE, "GATEWAY_LOST"


class CommandState(enum.Enum):
    """How far a command is."""

    PENDING = enum.auto()
    SENT = enum.auto()
    COMPLETED = enum.auto()
    FAILED = enum.auto()
    EXPIRED = enum.auto()
    CANCELLED = enum.auto()


class SessionOutcome(enum.Enum):
    """What came of a remote start that the charge point accepted."""

    AWAITED = enum.auto()
    STARTED = enum.auto()
    NONE_CAME = enum.auto()


class CallError(NamedTuple):
    """The refusal of a charge point (CALLERROR, OCPP-J 1.6, 4.2.3); details are JSON text."""

    code: str
    description: str
    details: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended at its gateway; one of the last three is set.

    Attributes:
        sent: Whether it was written to the socket; one that was not may be delivered later.
        response: The charge point's answer.
        error: The status that tells why there is neither answer nor refusal.
    """

    complete_time: datetime
    sent: bool
    response: bytes = b""
    call_error: CallError | None = None
    error: bytes = b""


@dataclass(frozen=True)
class Command:
    """A command to a charge point. Its methods return it as it is after something happened.

    What comes too late or for the second time changes nothing: the same command is returned.

    Attributes:
        request: The serialized request.
        request_id: Identifies the creation; empty: it cannot be repeated.
        request_digest: Stands for all that the creation asked for.
        traceparent: Continues the trace of the requester; empty: not sampled.
        handed_to: The gateway process that it was handed to; empty: none yet.
        handed_connection: The connection that it was handed out for.
        session: The session that came of a remote start, or that a remote stop is for:
            `sessions/{session}`; empty: none.
        session_outcome: None where it does not apply.
        session_deadline: Until when the session is awaited.
    """

    command_id: uuid.UUID
    charge_point_id: ChargePointId
    action: str
    request: bytes
    requester: str
    create_time: datetime
    expire_time: datetime
    answer_timeout: timedelta = DEFAULT_ANSWER_TIMEOUT
    deliver_when_online: bool = False
    request_id: str = ""
    request_digest: bytes = b""
    traceparent: str = ""
    state: CommandState = CommandState.PENDING
    send_time: datetime | None = None
    complete_time: datetime | None = None
    response: bytes = b""
    call_error: CallError | None = None
    error: bytes = b""
    session: str = ""
    session_outcome: SessionOutcome | None = None
    session_deadline: datetime | None = None
    handed_to: str = field(default="", compare=False)
    handed_connection: str = field(default="", compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether the command is in its last state."""
        return self.state not in (CommandState.PENDING, CommandState.SENT)

    @property
    def is_settled(self) -> bool:
        """Whether nothing about the command will change any more."""
        return self.has_ended and self.session_outcome is not SessionOutcome.AWAITED

    def mark_sent(self, send_time: datetime) -> Self:
        """Note that the command was written to the socket."""
        if self.state is not CommandState.PENDING:
            return self
        return replace(self, state=CommandState.SENT, send_time=send_time)

    def end(self, result: Result, session_deadline: datetime | None) -> Self:
        """Take what came of the command at its gateway.

        One that was not written to the socket waits again if it is to be delivered whenever the
        charge point is there, until it expires.

        Args:
            result: What the gateway tells.
            session_deadline: Until when to await the session; None where there is none to await.
        """
        if self.has_ended:
            return self
        if not result.sent and self.state is CommandState.PENDING:
            if result.complete_time >= self.expire_time:
                return self.expire(result.complete_time)
            if self.deliver_when_online:
                return self.release()
        answered = bool(result.response)
        return replace(
            self,
            state=CommandState.COMPLETED if answered else CommandState.FAILED,
            send_time=self.send_time or (result.complete_time if result.sent else None),
            complete_time=result.complete_time,
            response=result.response,
            call_error=result.call_error,
            error=result.error,
            session_outcome=SessionOutcome.AWAITED if session_deadline else None,
            session_deadline=session_deadline,
        )

    def release(self) -> Self:
        """Let the command wait again; one that is on the socket cannot be taken back."""
        if self.state is not CommandState.PENDING:
            return self
        return replace(self, handed_to="", handed_connection="")

    def fail(self, time: datetime, error: bytes) -> Self:
        """End the command without an answer."""
        if self.has_ended:
            return self
        return replace(self, state=CommandState.FAILED, complete_time=time, error=error)

    def expire(self, time: datetime) -> Self:
        """End the command because it could not be sent in time."""
        if self.state is not CommandState.PENDING:
            return self
        return replace(self, state=CommandState.EXPIRED, complete_time=time)

    def cancel(self, time: datetime) -> Self:
        """End the command at an operator's wish.

        Raises:
            CommandNotPending: It was handed to a gateway already, or it has ended.
        """
        if self.state is CommandState.CANCELLED:
            return self
        if self.state is not CommandState.PENDING or self.handed_to:
            raise CommandNotPending(
                f"Command {self.command_id} is under way or has ended; it cannot be cancelled.",
                command=self.command_id,
                state=self.state.name,
            )
        return replace(self, state=CommandState.CANCELLED, complete_time=time)

    def settle(self, outcome: SessionOutcome, session: str = "") -> Self:
        """Note what came of the remote start."""
        if self.session_outcome is not SessionOutcome.AWAITED:
            return self
        return replace(self, session_outcome=outcome, session=session)

    def repeats(self, earlier: Self) -> None:
        """Make sure that a creation asks for the same as an earlier one with its request id.

        Raises:
            RequestIdReused: It asks for something else.
        """
        if self.request_digest != earlier.request_digest:
            raise RequestIdReused(
                f"Request id {self.request_id} was used for another command;"
                " use a new id for a new request.",
                request_id=self.request_id,
            )

    def admit(self, waiting: int, limit: int, *, online: bool) -> None:
        """Make sure that the command may be created.

        Args:
            waiting: How many commands of the charge point have not ended.
            limit: How many may.
            online: Whether the charge point is connected.

        Raises:
            ChargePointOffline: It is away, and the command is not to wait for it.
            TooManyPendingCommands: Too many commands wait for it.
        """
        key = self.charge_point_id
        if not online and not self.deliver_when_online:
            raise ChargePointOffline(
                f"Charge point {key} is not connected; set deliver_when_online to wait for it.",
                charge_point=key,
            )
        if waiting >= limit:
            raise TooManyPendingCommands(
                f"{limit} commands wait for charge point {key} already; try again later.",
                retry_after=_RETRY_AFTER,
                charge_point=key,
                limit=limit,
            )


def expire_time(value: datetime | None, now: datetime, *, deliver_when_online: bool) -> datetime:
    """Parse until when a command may be sent; None: for a minute, or a day if it may wait.

    Raises:
        ValueError: It is not within the next 30 days.
    """
    if value is None:
        return now + (_DEFAULT_LIFETIME_OFFLINE if deliver_when_online else _DEFAULT_LIFETIME)
    if not now < value <= now + _MAX_LIFETIME:
        raise ValueError("must be in the future, at most 30 days from now")
    return value


def answer_timeout(value: timedelta | None) -> timedelta:
    """Parse how long the charge point has for its answer; None: 60 seconds.

    Raises:
        ValueError: It is not from 1 second to 10 minutes.
    """
    if value is None:
        return DEFAULT_ANSWER_TIMEOUT
    shortest, longest = _ANSWER_TIMEOUTS
    if not shortest <= value <= longest:
        raise ValueError("must be from 1 second to 10 minutes")
    return value


def wait(value: timedelta) -> timedelta:
    """Parse how long a caller wants to wait for the outcome.

    Raises:
        ValueError: It is not from 0 seconds to 5 minutes.
    """
    if not timedelta(0) <= value <= _MAX_WAIT:
        raise ValueError("must be from 0 seconds to 5 minutes")
    return value


def request_id(value: str) -> str:
    """Parse the id of a request; empty stands for none.

    Raises:
        ValueError: It is no UUID.
    """
    try:
        return str(uuid.UUID(value)) if value else ""
    except ValueError:
        raise ValueError("must be a UUID, or empty") from None


def command_id(value: str) -> uuid.UUID:
    """Parse the id of a command.

    Raises:
        ValueError: It is no UUID.
    """
    try:
        return uuid.UUID(value)
    except ValueError:
        raise ValueError("must end with the id of a command, a UUID") from None


def session_id(value: str) -> uuid.UUID:
    """Parse the id of a session.

    Raises:
        ValueError: It is no UUID.
    """
    try:
        return uuid.UUID(value)
    except ValueError:
        raise ValueError("must end with the id of a session, a UUID") from None
