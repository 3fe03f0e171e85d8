"""What commands of the central system act on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from simulator.authorization import Authorizer
from simulator.certificates import TrustStore
from simulator.charging_profiles import ChargingProfiles
from simulator.configuration import Configuration
from simulator.connector import Connector
from simulator.local_list import LocalList
from simulator.maintenance import Maintenance
from simulator.reservations import Reservations
from simulator.signing import Key
from simulator.triggers import Triggers


class Controls(Protocol):
    """The charge point behind its connection."""

    configuration: Configuration
    reservations: Reservations
    profiles: ChargingProfiles
    local_list: LocalList
    authorizer: Authorizer
    trust: TrustStore
    maintenance: Maintenance
    triggers: Triggers

    @property
    def connectors(self) -> Sequence[Connector]:
        """The connectors, 1 first."""

    @property
    def key(self) -> Key:
        """The private key that its certificate is for."""

    def now(self) -> datetime:
        """Return the time."""

    def reset(self, kind: str) -> None:
        """Reset soon; kind is a ResetType."""

    def reconnect(self) -> None:
        """Close the connection soon and open another."""

    async def reboot(self, firmware: str | None) -> None:
        """Start anew, with another version of the firmware, and return when that is done."""

    def change_availability(self, connector_id: int, *, operative: bool) -> str:
        """Take a connector, or with 0 everything, in or out of service.

        Returns:
            The AvailabilityStatus.
        """

    def reservations_changed(self) -> None:
        """Show reservations at the connectors, and watch their expiry."""
