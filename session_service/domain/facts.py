"""What charge points say about transactions, and what they are answered."""

import dataclasses
import enum
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from session_service.domain.flags import Flag, words
from session_service.domain.meter_values import MeterValue


class AuthorizationStatus(enum.Enum):
    """The answer to an id tag (OCPP 1.6 7.2)."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


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


class Receipt(NamedTuple):
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
        """Whether a rule may have changed a register.

        A text that was read as a number may have stood elsewhere.
        """
        if "fractional_register_rounded" in self.repairs:
            return True
        return "text_as_number" in self.repairs and not _WHOLE_REGISTER.search(self.raw_frame)

    @property
    def is_register_unknown(self) -> bool:
        """Whether the register could not be read; what stands in its place says nothing."""
        return not _NO_REGISTER_RULES.isdisjoint(self.repairs)

    def has_replaced(self, time: datetime) -> bool:
        """Tell whether a rule put the time of receipt, in full seconds, in the place of a time."""
        return not _TIME_RULES.isdisjoint(self.repairs) and time == self.time.replace(microsecond=0)


@dataclass(frozen=True)
class StartKey:
    """What makes two StartTransactions the same one; never the OCPP message id.

    Attributes:
        meter_start: In Wh; 0 where it told none that could be read.
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
    def begin_time(self) -> datetime:
        """When the transaction began, as far as it is known."""
        return self.key.time or self.receipt.time

    @property
    def flags(self) -> tuple[str, ...]:
        """What is doubtful about the start."""
        return words(
            (self.receipt.is_repaired, Flag.START_REPAIRED),
            (self.key.time is None, Flag.START_TIME_UNKNOWN),
            (self.receipt.is_meter_repaired, Flag.METER_REPAIRED),
            (self.receipt.is_register_unknown, Flag.METER_START_UNKNOWN),
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
        meter_stop: In Wh; None when the charge point told none that could be read.
        time: By the clock of the charge point; None when it told none that could be read.
        reason: In OCPP's word, as it was sent.
        id_tag_info: What is known about the tag; None without a tag, and when auth_service is away.
        digest: Identifies the content among the entries in quarantine.
        raw_text: Writes out what was sent, should it have to be kept in quarantine.
        message: Writes out the stop to be read again, should it have to wait for its start.
    """

    charge_point_id: str
    transaction_id: int
    meter_stop: int | None
    receipt: Receipt
    digest: uuid.UUID
    raw_text: Callable[[], str]
    message: Callable[[], bytes]
    time: datetime | None = None
    id_tag: str | None = None
    reason: str | None = None
    id_tag_info: IdTagInfo | None = None
    meter_values: tuple[MeterValue, ...] = ()

    @property
    def end_time(self) -> datetime:
        """When the transaction ended, as far as it is known."""
        return self.time or self.receipt.time

    @property
    def is_in_future(self) -> bool:
        """Whether it is dated later than it was received, by more than clocks usually differ."""
        return self.end_time > self.receipt.time + _CLOCKS_DIFFER_BY

    @property
    def names_none(self) -> bool:
        """Whether the transaction id is none that is ever given: chargers then send 0 or -1."""
        return not 0 < self.transaction_id <= _INT32_MAX


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


def reservation_id(value: int) -> int | None:
    """Return the reservation that a start uses up: 0, -1 and 4294967295 are ways to say none."""
    return value if 0 < value <= _INT32_MAX else None


_INT32_MAX = 2**31 - 1
_CLOCKS_DIFFER_BY = timedelta(minutes=5)
_TIME_RULES = frozenset({"time_replaced", "time_missing"})
_EMPTY_LIST_RULES = frozenset({"empty_list_kept", "list_missing"})
_NO_REGISTER_RULES = frozenset({"register_missing", "register_unreadable"})
_WHOLE_REGISTER = re.compile(r'"meterSt(?:art|op)"\s*:\s*-?[0-9]+\s*[,}]')
