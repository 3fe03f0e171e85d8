"""Charge points, their connectors and what else they tell; free of any transport or storage."""

import enum
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NewType

from servicekit.errors import ErrorKind, PlatformError

ChargePointId = NewType("ChargePointId", str)
"""The identity that a charge point brings in its WebSocket path, compared byte for byte."""

SUBPROTOCOL = "ocpp1.6"
"""The WebSocket subprotocol of OCPP 1.6 with JSON (OCPP-J 1.6, 3.1.2)."""

ALL = "-"
"""Stands for every charge point in the name of a parent (AIP-159); no identity therefore."""

_MAX_IDENTITY = 48
_MAX_DISPLAY_NAME = 200
_HEARTBEAT_INTERVALS = (timedelta(seconds=10), timedelta(days=1))
_EARLIEST_PLAUSIBLE = datetime(2015, 1, 1, tzinfo=UTC)
"""OCPP 1.6 is of 2015: a clock that tells an earlier time was never set."""
_MOST_AHEAD = timedelta(minutes=5)
"""A clock that runs further ahead may be put back, and must not block what comes then."""
_NOTHING = frozenset({"", "none", "null"})
"""Words that charge points send in optional texts where they have nothing to say."""
_NO_ERROR_CODE = re.compile(r"(0x)?0+", re.IGNORECASE)


class ChargePointNotFound(PlatformError):
    """No charge point has this identity."""

    kind, reason = ErrorKind.NOT_FOUND, "CHARGE_POINT_NOT_FOUND"


class ChargePointAlreadyExists(PlatformError):
    """A charge point with this identity exists already."""

    kind, reason = ErrorKind.ALREADY_EXISTS, "CHARGE_POINT_ALREADY_EXISTS"


class ConnectorNotFound(PlatformError):
    """The charge point never reported this connector."""

    kind, reason = ErrorKind.NOT_FOUND, "CONNECTOR_NOT_FOUND"


class State(enum.Enum):
    """Whether a charge point may take part (RegistrationStatus, OCPP 1.6 7.38)."""

    PENDING = "Pending"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"


class UnknownChargePoints(enum.Enum):
    """What becomes of charge points that nobody registered."""

    REJECT = "reject"
    PENDING = "pending"
    ACCEPT = "accept"

    @property
    def state(self) -> State | None:
        """The state in which such a charge point is registered; None: it is not."""
        return {self.PENDING: State.PENDING, self.ACCEPT: State.ACCEPTED}.get(self)


class Verdict(enum.Enum):
    """What becomes of an opening handshake."""

    ADMITTED = enum.auto()
    UNKNOWN_CHARGE_POINT = enum.auto()
    SUBPROTOCOL_MISSING = enum.auto()
    REFUSED_BY_GATEWAY = enum.auto()


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a charge point says about itself when it boots (OCPP 1.6 6.3); empty: not said."""

    vendor: str = ""
    model: str = ""
    serial_number: str = ""
    charge_box_serial_number: str = ""
    firmware_version: str = ""
    iccid: str = ""
    imsi: str = ""
    meter_type: str = ""
    meter_serial_number: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """The current or last connection of a charge point, whose gateway tells when it was heard."""

    online: bool = False
    last_seen_time: datetime | None = None
    remote_address: str = ""
    gateway: str = ""
    connect_time: datetime | None = None
    connection_id: str = ""
    generation: int = 0


@dataclass(frozen=True)
class ChargePoint:
    """A charge point as operators see it.

    Attributes:
        heartbeat_interval: None stands for the default of the installation.
        subprotocol_optional: Lets it in although it offers no subprotocol.
        etag: Identifies this version of what operators set.
    """

    charge_point_id: ChargePointId
    state: State
    create_time: datetime
    update_time: datetime
    etag: str
    display_name: str = ""
    heartbeat_interval: timedelta | None = None
    subprotocol_optional: bool = False
    hardware: Hardware = field(default=Hardware())
    last_boot_time: datetime | None = None
    firmware_status: str = ""
    diagnostics_status: str = ""
    link: Link = field(default=Link())


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector as its charge point last reported it (OCPP 1.6 6.47); empty: not sent.

    Attributes:
        status_time: Since when the status holds, by the clock of the charge point.
        receive_time: When the report was received.
    """

    charge_point_id: str
    connector_id: int
    status: str
    error_code: str
    receive_time: datetime
    info: str = ""
    vendor_id: str = ""
    vendor_error_code: str = ""
    status_time: datetime | None = None

    @property
    def orderly_time(self) -> datetime | None:
        """The time by which reports are put in order; None when it is good for nothing.

        Clocks of charge points lie: one that was never set, and one that runs ahead, tell nothing
        about the order of reports.
        """
        time = self.status_time
        if time is None or time < _EARLIEST_PLAUSIBLE or time > self.receive_time + _MOST_AHEAD:
            return None
        return time

    def is_older_than(self, other: "Connector") -> bool:
        """Tell whether it was true before another that was received earlier.

        Only two times of the charge point itself are compared; else the later report counts.
        """
        mine, others = self.orderly_time, other.orderly_time
        return mine is not None and others is not None and mine < others


@dataclass(frozen=True, slots=True)
class Notice:
    """One message of a charge point that no other resource holds.

    Attributes:
        payload: The payload as JSON, in OCPP's words.
        raw_frame: The frame as it was sent, where it had to be repaired; empty otherwise.
        repairs: The repair rules that were applied.
    """

    notice_id: uuid.UUID
    charge_point_id: str
    connection_id: str
    message_id: str
    action: str
    payload: str
    receive_time: datetime
    raw_frame: str = ""
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedHandshake:
    """The handshakes of one identity that were refused for one reason."""

    charge_point_id: str
    reason: str
    remote_address: str
    first_refuse_time: datetime
    last_refuse_time: datetime
    refuse_count: int = 1


@dataclass(frozen=True)
class BootAnswer:
    """The answer to a BootNotification (OCPP 1.6 6.4)."""

    current_time: datetime
    interval: timedelta
    status: State


def charge_point_id(value: str) -> ChargePointId:
    """Parse an identity.

    Raises:
        ValueError: It is not 1 to 48 printable ASCII characters without `/`, or it is `-`.
    """
    printable = value.isascii() and value.isprintable()
    if not (1 <= len(value) <= _MAX_IDENTITY and printable and "/" not in value) or value == ALL:
        raise ValueError("must be 1 to 48 printable ASCII characters without '/', and not '-'")
    return ChargePointId(value)


def display_name(value: str) -> str:
    """Parse a name for people.

    Raises:
        ValueError: It is longer than 200 characters or holds control characters.
    """
    if len(value) > _MAX_DISPLAY_NAME or not value.isprintable():
        raise ValueError("must be at most 200 printable characters")
    return value


def heartbeat_interval(value: timedelta) -> timedelta:
    """Parse the time between heartbeats.

    Raises:
        ValueError: It is not of whole seconds, from 10 seconds to 1 day.
    """
    shortest, longest = _HEARTBEAT_INTERVALS
    if not shortest <= value <= longest or value.microseconds:
        raise ValueError("must be whole seconds, from 10 seconds to 1 day")
    return value


def connector_id(value: str) -> int:
    """Parse the number of a connector.

    Raises:
        ValueError: It is not a number from 0 to 2147483647 as it is usually written.
    """
    if not re.fullmatch(r"0|[1-9][0-9]{0,9}", value) or int(value) > 2**31 - 1:
        raise ValueError("must be the number of a connector; 0 is the whole charge point")
    return int(value)


def action(value: str) -> str:
    """Parse the name of an OCPP action; empty stands for all.

    Raises:
        ValueError: It is not made of at most 50 letters.
    """
    if not re.fullmatch(r"[A-Za-z]{0,50}", value):
        raise ValueError("must be the name of an OCPP action, such as DataTransfer")
    return value


def said(value: str) -> str:
    """Return an optional text; empty when it only says that there is nothing to say."""
    return "" if value.strip().lower() in _NOTHING else value


def vendor_error_code(value: str, error_code: str) -> str:
    """Return the vendor's error code; empty when it only repeats that there is no error."""
    if error_code == "NoError" and _NO_ERROR_CODE.fullmatch(value.strip()):
        return ""
    return said(value)


def escaped(value: str, limit: int) -> str:
    r"""Return a text of a stranger as printable ASCII (`\xe4`, `\x00`), cut to a length."""
    return value[:limit].encode("unicode_escape").decode("ascii")[:limit]
