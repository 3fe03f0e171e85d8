"""The sockets of this gateway: the newest of a charge point is the one that commands go to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from csms.gateway.v1.gateway_link_pb2 import CommandResult, DeliverCommand


@dataclass(frozen=True)
class Opened:
    """A connection that was accepted."""

    charge_point_id: str
    connection_id: str
    remote_address: str
    subprotocol: str
    open_time: datetime


class Socket(Protocol):
    """What a connection can be told."""

    def end_after_grace(self) -> None:
        """End by itself after a while: a newer connection has taken its place."""

    def stay(self) -> None:
        """Do not end by itself after all: the newer connection has ended first."""

    async def deliver(
        self, command: DeliverCommand, on_sent: Callable[[datetime], None]
    ) -> CommandResult:
        """Send a command and return what came of it; `on_sent` is called when it is written."""


@dataclass(frozen=True, eq=False)
class Connection:
    """One socket of one charge point."""

    opened: Opened
    socket: Socket

    @property
    def charge_point_id(self) -> str:
        """Whose it is."""
        return self.opened.charge_point_id


class Connections:
    """Counts sockets, knows the newest of each charge point and when each was heard.

    Args:
        limit: Most sockets at the same time.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._count = limit, 0
        self._open: dict[str, list[Connection]] = {}  # of each charge point, oldest first
        self._seen: dict[str, datetime] = {}

    @property
    def count(self) -> int:
        """Sockets that are open."""
        return self._count

    @property
    def full(self) -> bool:
        """Whether no more socket can be taken."""
        return self._count >= self._limit

    def opened(self, connection: Connection) -> None:
        """Make a connection the one of its charge point; the older one is let go, not kicked.

        Some charge points open two sockets and fight for the place when one is closed on them.
        """
        older = self.newest(connection.charge_point_id)
        if older is not None:
            older.socket.end_after_grace()
        self._open.setdefault(connection.charge_point_id, []).append(connection)
        self._count += 1

    def closed(self, connection: Connection) -> Connection | None:
        """Forget a connection; the late end of an older one changes nothing for the newest.

        When the newest ends and an older one is still open, that one counts again and is returned.
        """
        remaining = self._open.get(connection.charge_point_id, [])
        if connection not in remaining:
            return None
        was_newest = remaining[-1] is connection
        remaining.remove(connection)
        self._count -= 1
        if not remaining:
            del self._open[connection.charge_point_id]
            return None
        if not was_newest:
            return None
        remaining[-1].socket.stay()
        return remaining[-1]

    def newest(self, charge_point_id: str) -> Connection | None:
        """Return the connection of a charge point that commands go to."""
        of_charge_point = self._open.get(charge_point_id)
        return of_charge_point[-1] if of_charge_point else None

    def all_opened(self) -> list[Opened]:
        """Return every connection that is open, those of a charge point oldest first."""
        return [item.opened for connections in self._open.values() for item in connections]

    def seen(self, charge_point_id: str, time: datetime) -> None:
        """Note that a charge point was heard."""
        self._seen[charge_point_id] = time

    def take_seen(self) -> dict[str, datetime]:
        """Return the charge points that were heard since the last time, and when."""
        heard, self._seen = self._seen, {}
        return heard
