"""The connection registry within one process."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from device_service.ports import Lease, RegistryListener


@dataclass(frozen=True, slots=True)
class _Entry:
    lease: Lease
    replica_id: str
    expires: float


@dataclass(slots=True)
class Board:
    """What the members of one process have in common."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    listeners: dict[str, RegistryListener] = field(default_factory=dict)


class MemoryRegistry:
    """Implements the port `ConnectionRegistry` for an installation with one replica.

    Args:
        replica_id: Identifies this replica.
        board: Shared with other members of the same process; by default there are none.
        ttl_s: Seconds for which a lease holds.
    """

    def __init__(self, replica_id: str, board: Board | None = None, *, ttl_s: float = 30) -> None:
        self._replica_id, self._board = replica_id, board or Board()
        self._ttl_s = ttl_s

    async def hold(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Register or prolong leases; return those that newer ones outdo."""
        return [lease for lease in leases if not self._hold(lease)]

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give up leases, where they are still those that count."""
        for lease in leases:
            entry = self._board.entries.get(lease.charge_point_id)
            if entry is not None and (entry.lease, entry.replica_id) == (lease, self._replica_id):
                del self._board.entries[lease.charge_point_id]

    async def holder(self, charge_point_id: str) -> str:
        """Return the id of the replica that holds the charge point; empty: none is known."""
        return self._holder(charge_point_id)

    def wake(self, charge_point_id: str) -> None:
        """Tell the replica that holds a charge point, or all when none is known, of a command."""
        holder = self._holder(charge_point_id)
        for listener in self._others() if not holder else self._listening(holder):
            listener.wake(charge_point_id)

    def command_changed(self, command_id: str) -> None:
        """Tell the other replicas that a command changed."""
        for listener in self._others():
            listener.command_changed(command_id)

    def linked(self, gateway_id: str, epoch: int) -> None:
        """Tell the other replicas that a gateway has a new link here."""
        for listener in self._others():
            listener.linked(gateway_id, epoch)

    async def run(self, listener: RegistryListener) -> None:
        """Pass on what others say, and keep the leases alive, until cancelled."""
        self._board.listeners[self._replica_id] = listener
        try:
            while True:
                for outdone in await self.hold(listener.leases()):
                    listener.superseded(outdone)
                await asyncio.sleep(self._ttl_s / 3)
        finally:
            del self._board.listeners[self._replica_id]

    def _hold(self, lease: Lease) -> bool:
        now = time.monotonic()
        entry = self._board.entries.get(lease.charge_point_id)
        if entry is not None and entry.expires > now and entry.lease > lease:
            return False
        self._board.entries[lease.charge_point_id] = _Entry(
            lease, self._replica_id, now + self._ttl_s
        )
        return True

    def _holder(self, charge_point_id: str) -> str:
        entry = self._board.entries.get(charge_point_id)
        return entry.replica_id if entry is not None and entry.expires > time.monotonic() else ""

    def _others(self) -> Iterable[RegistryListener]:
        listeners = self._board.listeners.items()
        return [listener for name, listener in listeners if name != self._replica_id]

    def _listening(self, replica_id: str) -> Iterable[RegistryListener]:
        listener = self._board.listeners.get(replica_id)
        return [] if listener is None else [listener]
