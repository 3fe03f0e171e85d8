"""Which replica holds the link of which charge point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


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
