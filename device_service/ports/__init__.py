"""What the use cases need from outside."""

from device_service.ports.charge_points import (
    ChargePointStore,
    Recorder,
    ReportStore,
)
from device_service.ports.commands import (
    Circumstances,
    CommandDesk,
    CommandEvents,
    CommandStore,
    Delivery,
    Outcome,
    Sessions,
    Transition,
)
from device_service.ports.gateways import (
    Courier,
    Current,
    FrameSource,
    GatewayStore,
    Linked,
)
from device_service.ports.registry import (
    ConnectionRegistry,
    Lease,
    RegistryListener,
)

__all__ = [
    "ChargePointStore",
    "Circumstances",
    "CommandDesk",
    "CommandEvents",
    "CommandStore",
    "ConnectionRegistry",
    "Courier",
    "Current",
    "Delivery",
    "FrameSource",
    "GatewayStore",
    "Lease",
    "Linked",
    "Outcome",
    "Recorder",
    "RegistryListener",
    "ReportStore",
    "Sessions",
    "Transition",
]
