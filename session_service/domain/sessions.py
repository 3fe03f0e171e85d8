"""Sessions: how they begin, how they end, and how much energy flowed."""

import dataclasses
import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from servicekit.errors import ErrorKind, PlatformError
from session_service.domain.meter_values import MeterValue


class SessionNotFound(PlatformError):
    """No session has this name."""

    kind, reason = ErrorKind.NOT_FOUND, "SESSION_NOT_FOUND"


class SessionAlreadyEnded(PlatformError):
    """The session was stopped before."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "SESSION_ALREADY_ENDED"


class AuthorizationStatus(enum.Enum):
    """The answer to an id tag (OCPP 1.6 7.2)."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


class SessionState(enum.Enum):
    """Whether a session runs."""

    ACTIVE = enum.auto()
    COMPLETED = enum.auto()


class Flag(enum.StrEnum):
    """What is doubtful about a session."""

    START_REPAIRED = "START_REPAIRED"
    """The StartTransaction missed its schema and was repaired."""
    START_TIME_UNKNOWN = "START_TIME_UNKNOWN"
    """The StartTransaction told no readable time; the time of receipt stands in its place."""
    STOP_REPAIRED = "STOP_REPAIRED"
    """The StopTransaction missed its schema and was repaired."""
    STOP_TIME_UNKNOWN = "STOP_TIME_UNKNOWN"
    """The StopTransaction told no readable time; the time of receipt stands in its place."""
    STOP_BEFORE_START = "STOP_BEFORE_START"
    """The session ended before it began, by the clock of the charge point."""
    METER_REPAIRED = "METER_REPAIRED"
    """A register of the start or the stop was missing or was no whole number."""
    METER_STOP_BELOW_START = "METER_STOP_BELOW_START"
    """The register ran backwards; the energy counts as 0."""


@dataclass(frozen=True)
class IdTagInfo:
    """What a charge point is told about an id tag (OCPP 1.6 7.27)."""

    status: AuthorizationStatus
    expire_time: datetime | None = None
    parent: str | None = None


@dataclass(frozen=True)
class TagCheck:
    """What auth_service says about an id tag.

    Attributes:
        max_active_transactions: How many may run at the same time; 0 means any number.
    """

    info: IdTagInfo
    max_active_transactions: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a message arrived.

    Attributes:
        time: When the gateway had read it.
        repairs: The repair rules that were applied, in order.
        raw_frame: The frame as it was sent, when rules were applied; empty otherwise.
    """

    time: datetime
    repairs: tuple[str, ...] = ()
    raw_frame: str = ""

    @property
    def is_repaired(self) -> bool:
        """Whether a rule changed what was said; a list that is empty or missing says nothing."""
        return not _EMPTY_LIST_RULES.issuperset(self.repairs)

    @property
    def is_meter_repaired(self) -> bool:
        """Whether a rule may have changed a register."""
        return not _METER_RULES.isdisjoint(self.repairs)

    def has_replaced(self, time: datetime) -> bool:
        """Tell whether a rule put the time of receipt, in full seconds, in the place of a time."""
        return not _TIME_RULES.isdisjoint(self.repairs) and time == self.time.replace(microsecond=0)


@dataclass(frozen=True)
class StartKey:
    """What makes two StartTransactions the same one; never the OCPP message id.

    Attributes:
        time: By the clock of the charge point; None when it told none that could be read. Such a
            start is taken for a repeat for as long as the session runs.
    """

    charge_point_id: str
    connector_id: int
    id_tag: str
    meter_start: int
    time: datetime | None


@dataclass(frozen=True)
class Start:
    """A StartTransaction (OCPP 1.6 6.45)."""

    session_id: uuid.UUID
    key: StartKey
    reservation_id: int | None
    receipt: Receipt
    create_time: datetime
    check: TagCheck

    @property
    def charge_point_id(self) -> str:
        """The charge point that sent it."""
        return self.key.charge_point_id

    @property
    def flags(self) -> tuple[str, ...]:
        """What is doubtful about the start."""
        return _flags(
            (self.receipt.is_repaired, Flag.START_REPAIRED),
            (self.key.time is None, Flag.START_TIME_UNKNOWN),
            (self.receipt.is_meter_repaired, Flag.METER_REPAIRED),
        )

    def answered(self, running: int) -> IdTagInfo:
        """Judge the tag, given how many accepted sessions run with it already."""
        limit, info = self.check.max_active_transactions, self.check.info
        if info.status is AuthorizationStatus.ACCEPTED and 0 < limit <= running:
            return dataclasses.replace(info, status=AuthorizationStatus.CONCURRENT_TX)
        return info


@dataclass(frozen=True)
class StartAnswer:
    """What a charge point is told about a start: the same each time it asks."""

    transaction_id: int
    id_tag_info: IdTagInfo


@dataclass(frozen=True)
class Stop:
    """A StopTransaction (OCPP 1.6 6.49).

    Attributes:
        time: By the clock of the charge point; None when it told none that could be read.
        reason: In OCPP's word, as it was sent.
        id_tag_info: What is known about the tag; None without a tag, and when auth_service is away.
        digest: Identifies the content among the entries in quarantine.
        raw_text: Writes out what was sent, should it have to be kept in quarantine.
    """

    charge_point_id: str
    transaction_id: int
    meter_stop: int
    receipt: Receipt
    digest: uuid.UUID
    raw_text: Callable[[], str]
    time: datetime | None = None
    id_tag: str | None = None
    reason: str | None = None
    id_tag_info: IdTagInfo | None = None
    meter_values: tuple[MeterValue, ...] = ()


@dataclass(frozen=True)
class End:
    """How a session ended: the first StopTransaction that was received."""

    time: datetime
    time_reported: bool
    receive_time: datetime
    meter_stop: int
    reason: str | None = None
    id_tag: str | None = None
    id_tag_info: IdTagInfo | None = None

    def is_repeated_by(self, stop: Stop) -> bool:
        """Tell whether a stop says what was said before."""
        time = self.time if self.time_reported else None
        return (time, self.meter_stop, self.reason, self.id_tag) == (
            stop.time,
            stop.meter_stop,
            stop.reason,
            stop.id_tag,
        )


@dataclass(frozen=True)
class Session:
    """A charging session, begun by a StartTransaction.

    Attributes:
        start_time: By the clock of the charge point; the time of receipt when it told none.
        latest_register_wh: What the newest meter value showed; known while the session runs.
    """

    id: uuid.UUID
    transaction_id: int
    charge_point_id: str
    connector_id: int
    id_tag: str
    id_tag_info: IdTagInfo
    start_time: datetime
    start_receive_time: datetime
    meter_start: int
    reservation_id: int | None
    create_time: datetime
    flags: tuple[str, ...] = ()
    end: End | None = None
    latest_register_wh: Decimal | None = None

    @property
    def state(self) -> SessionState:
        """Whether the session runs."""
        return SessionState.ACTIVE if self.end is None else SessionState.COMPLETED

    @property
    def energy_wh(self) -> int | None:
        """The energy in Wh, from the registers; never negative; None when nothing is known."""
        if self.end is not None:
            return max(0, self.end.meter_stop - self.meter_start)
        if self.latest_register_wh is None:
            return None
        return max(0, int(self.latest_register_wh.quantize(_ONE, ROUND_HALF_UP)) - self.meter_start)

    def stopped(self, stop: Stop) -> "Session":
        """Return the session as the first stop of a running session leaves it."""
        end = End(
            time=stop.time or stop.receipt.time,
            time_reported=stop.time is not None,
            receive_time=stop.receipt.time,
            meter_stop=stop.meter_stop,
            reason=stop.reason,
            id_tag=stop.id_tag,
            id_tag_info=stop.id_tag_info,
        )
        doubts = _flags(
            (stop.receipt.is_repaired, Flag.STOP_REPAIRED),
            (stop.time is None, Flag.STOP_TIME_UNKNOWN),
            (end.time < self.start_time, Flag.STOP_BEFORE_START),
            (stop.receipt.is_meter_repaired, Flag.METER_REPAIRED),
            (stop.meter_stop < self.meter_start, Flag.METER_STOP_BELOW_START),
        )
        return dataclasses.replace(self, end=end, flags=tuple(dict.fromkeys(self.flags + doubts)))


class MeterReport(NamedTuple):
    """A MeterValues message (OCPP 1.6 6.31).

    Attributes:
        transaction_id: As it was sent; what it means is found out when the values are stored.
    """

    charge_point_id: str
    connector_id: int
    transaction_id: int | None
    receipt: Receipt
    meter_values: tuple[MeterValue, ...]


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions a list shows; None: all."""

    charge_point_id: str | None = None
    id_tag: str | None = None
    state: SessionState | None = None
    start_time_from: datetime | None = None
    start_time_until: datetime | None = None


def reservation_id(value: int) -> int | None:
    """Return the reservation that a start uses up: 0, -1 and 4294967295 are ways to say none."""
    return value if 0 < value <= _INT32_MAX else None


_INT32_MAX = 2**31 - 1
_ONE = Decimal(1)
_TIME_RULES = frozenset({"time_replaced", "time_missing"})
_EMPTY_LIST_RULES = frozenset({"empty_list_kept", "list_missing"})
_METER_RULES = frozenset({"member_defaulted", "fractional_register_rounded", "text_as_number"})


def _flags(*doubts: tuple[bool, Flag]) -> tuple[str, ...]:
    return tuple(flag.value for holds, flag in doubts if holds)
