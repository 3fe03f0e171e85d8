"""Which service answers which action, and what a charge point hears while that service is away.

To add an operation: a line in `ROUTES`, and a handler in the `call_api` of the service named there.
"""

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.clock import ocpp_time
from servicekit.clock import Clock

Payload = dict[str, Any]

_SHORTEST_BOOT_RETRY_S = 10
_LONGEST_BOOT_RETRY_S = 30


class Service(enum.StrEnum):
    """The services that answer charge points."""

    __hash__ = str.__hash__  # that of an enum is a function in Python, and each call is looked up

    AUTH = "auth_service"
    DEVICE = "device_service"
    SESSION = "session_service"


@dataclass(frozen=True)
class Fallbacks:
    """The answers that a gateway gives by itself when a service does not answer in time."""

    clock: Clock
    authorize_status: str

    def boot_notification(self) -> Payload:
        """Reject the boot for a short while, not the same for all charge points."""
        interval = random.SystemRandom().randint(_SHORTEST_BOOT_RETRY_S, _LONGEST_BOOT_RETRY_S)
        now = ocpp_time(self.clock.now())
        return {"status": "Rejected", "currentTime": now, "interval": interval}

    def authorize(self) -> Payload:
        """Answer with the status of the configured policy."""
        return {"idTagInfo": {"status": self.authorize_status}}


@dataclass(frozen=True)
class Route:
    """Where an action goes; without a fallback its failure is a CALLERROR `InternalError`."""

    service: Service
    fallback: Callable[[Fallbacks], Payload] | None = None


ROUTES: dict[str, Route] = {
    "Authorize": Route(Service.AUTH, Fallbacks.authorize),
    "BootNotification": Route(Service.DEVICE, Fallbacks.boot_notification),
    "DataTransfer": Route(Service.DEVICE),
    "DiagnosticsStatusNotification": Route(Service.DEVICE),
    "FirmwareStatusNotification": Route(Service.DEVICE),
    "LogStatusNotification": Route(Service.DEVICE),
    "MeterValues": Route(Service.SESSION),
    "SecurityEventNotification": Route(Service.DEVICE),
    "SignCertificate": Route(Service.DEVICE),
    "SignedFirmwareStatusNotification": Route(Service.DEVICE),
    "StartTransaction": Route(Service.SESSION),
    "StatusNotification": Route(Service.DEVICE),
    "StopTransaction": Route(Service.SESSION),
}
"""All actions of charge points but Heartbeat, which the gateway answers itself."""
