"""What device_service stores in batches: facts, each already in its final words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from device_service.domain import Connector, Hardware, Notice, RefusedHandshake, State


@dataclass(frozen=True, slots=True)
class Introduced:
    """A charge point turned up that is to be registered, unless it is.

    Attributes:
        etag: The first version of the record.
    """

    charge_point_id: str
    state: State
    time: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class BootReported:
    """A charge point booted.

    Attributes:
        state_if_unknown: The state in which to register it when there is no record; None: not.
        etag: The first version of a record that is made.
        notice: Keeps the message itself, where it had to be repaired.
    """

    charge_point_id: str
    receive_time: datetime
    hardware: Hardware
    state_if_unknown: State | None
    etag: str
    notice: Notice | None = None

    @property
    def introduced(self) -> Introduced | None:
        """The registration that the boot asks for, if any."""
        if self.state_if_unknown is None:
            return None
        return Introduced(self.charge_point_id, self.state_if_unknown, self.receive_time, self.etag)


@dataclass(frozen=True, slots=True)
class StatusReported:
    """A connector has a status; the notice keeps the message itself, where it was repaired."""

    connector: Connector
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class NoticeReported:
    """A charge point told something; a status that is not empty becomes its last one."""

    notice: Notice
    firmware_status: str = ""
    diagnostics_status: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """A gateway accepted a connection; `beat_time` is the sign of life that lies in it."""

    charge_point_id: str
    connection_id: str
    gateway_id: str
    gateway_instance_id: str
    remote_address: str
    subprotocol: str
    open_time: datetime
    beat_time: datetime


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """A connection ended."""

    charge_point_id: str
    connection_id: str
    close_time: datetime
    close_code: int
    reason: str


@dataclass(frozen=True, slots=True)
class GatewayBeat:
    """A gateway process lives and heard these charge points."""

    gateway_id: str
    gateway_instance_id: str
    beat_time: datetime
    seen: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayLinked:
    """A gateway process tells all that it holds: what it does not list has ended.

    Attributes:
        opened: Every connection that is open at the gateway.
    """

    gateway_id: str
    gateway_instance_id: str
    beat_time: datetime
    opened: tuple[ConnectionOpened, ...] = ()


Fact = (
    Introduced
    | BootReported
    | StatusReported
    | NoticeReported
    | ConnectionOpened
    | ConnectionClosed
    | GatewayBeat
    | GatewayLinked
    | RefusedHandshake
)


@dataclass(frozen=True, slots=True)
class Registration:
    """What the record of a charge point that booted says."""

    state: State
    heartbeat_interval: timedelta | None
