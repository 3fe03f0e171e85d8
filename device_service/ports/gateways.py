"""Gateways, their links, and what passes over them."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from device_service.domain.frames import Frame


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
