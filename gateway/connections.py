"""The sockets of this gateway: the newest of a charge point is the one that commands go to."""

from dataclasses import dataclass
from typing import Protocol


class Socket(Protocol):
    """What a connection can be told."""

    def end_after_grace(self) -> None:
        """End by itself after a while: a newer connection has taken its place."""


@dataclass(frozen=True, eq=False)
class Connection:
    """One socket of one charge point."""

    charge_point_id: str
    connection_id: str
    socket: Socket


class Connections:
    """Counts sockets and knows the newest of each charge point.

    Args:
        limit: Most sockets at the same time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[Connection] = set()
        self._newest: dict[str, Connection] = {}

    @property
    def count(self) -> int:
        """Sockets that are open."""
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether no more socket can be taken."""
        return len(self._open) >= self._limit

    def opened(self, connection: Connection) -> None:
        """Make a connection the one of its charge point; the older one is let go, not kicked.

        Some charge points open two sockets and fight for the place when one is closed on them.
        """
        older = self._newest.get(connection.charge_point_id)
        if older is not None:
            older.socket.end_after_grace()
        self._open.add(connection)
        self._newest[connection.charge_point_id] = connection

    def closed(self, connection: Connection) -> None:
        """Forget a connection; the late end of an older one changes nothing for the newest."""
        self._open.discard(connection)
        if self._newest.get(connection.charge_point_id) is connection:
            del self._newest[connection.charge_point_id]

    def newest(self, charge_point_id: str) -> Connection | None:
        """Return the connection of a charge point that commands go to."""
        return self._newest.get(charge_point_id)
