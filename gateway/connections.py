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
        self._limit = limit
        self._open: dict[Connection, None] = {}
        self._newest: dict[str, Connection] = {}
        self._seen: dict[str, datetime] = {}

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
        self._open[connection] = None
        self._newest[connection.charge_point_id] = connection

    def closed(self, connection: Connection) -> None:
        """Forget a connection; the late end of an older one changes nothing for the newest."""
        self._open.pop(connection, None)
        if self._newest.get(connection.charge_point_id) is connection:
            del self._newest[connection.charge_point_id]

    def newest(self, charge_point_id: str) -> Connection | None:
        """Return the connection of a charge point that commands go to."""
        return self._newest.get(charge_point_id)

    def all_opened(self) -> list[Opened]:
        """Return every connection that is open, in the order in which they were opened."""
        return [connection.opened for connection in self._open]

    def seen(self, charge_point_id: str, time: datetime) -> None:
        """Note that a charge point was heard."""
        self._seen[charge_point_id] = time

    def take_seen(self) -> dict[str, datetime]:
        """Return the charge points that were heard since the last time, and when."""
        heard, self._seen = self._seen, {}
        return heard

    def give_back_seen(self, heard: dict[str, datetime]) -> None:
        """Keep for the next time what could not be told."""
        self._seen = heard | self._seen
