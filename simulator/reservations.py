"""Which connectors are kept for whom (OCPP 1.6 3.11, 5.13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

WHOLE = 0
"""The connectorId of a reservation that leaves the choice of the connector to the driver."""


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """A promise that a driver finds a connector.

    Attributes:
        id: The reservationId that the central system chose.
        connector_id: The connector, or `WHOLE`.
        id_tag: The tag that it is for.
        parent_id_tag: The group whose members may use it as well.
        expiry: When it ends.
    """

    id: int
    connector_id: int
    id_tag: str
    parent_id_tag: str | None = None
    expiry: datetime

    def admits(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Tell whether a tag, a member of a group, may use it."""
        if self.id_tag.casefold() == id_tag.casefold():
            return True
        if self.parent_id_tag is None or parent_id_tag is None:
            return False
        return self.parent_id_tag.casefold() == parent_id_tag.casefold()


class Reservations:
    """The reservations of a charge point."""

    def __init__(self) -> None:
        self._kept: dict[int, Reservation] = {}

    def keep(self, reservation: Reservation) -> None:
        """Keep a reservation; it takes the place of one with the same id."""
        self._kept[reservation.id] = reservation

    def cancel(self, reservation_id: int) -> bool:
        """Drop a reservation; False: there is none with this id."""
        return self._kept.pop(reservation_id, None) is not None

    def of(self, connector_id: int) -> Sequence[Reservation]:
        """Return the reservations made for a connector, or for `WHOLE`."""
        return [kept for kept in self._kept.values() if kept.connector_id == connector_id]

    def bar(self, connector_id: int, id_tag: str, parent_id_tag: str | None, free: int) -> bool:
        """Tell whether promises to others keep a tag from a connector.

        Args:
            connector_id: The connector.
            id_tag: The tag.
            parent_id_tag: Its group, None if unknown.
            free: How many connectors without a reservation of their own are free, this one
                included if it is one.
        """
        own = self.of(connector_id)
        if own:
            return not any(kept.admits(id_tag, parent_id_tag) for kept in own)
        others = [kept for kept in self.of(WHOLE) if not kept.admits(id_tag, parent_id_tag)]
        return bool(others) and len(others) >= free

    def use(self, connector_id: int, id_tag: str, parent_id_tag: str | None) -> Reservation | None:
        """Take the reservation under which a tag charges at a connector; None: it has none."""
        for kept in (*self.of(connector_id), *self.of(WHOLE)):
            if kept.admits(id_tag, parent_id_tag):
                return self._kept.pop(kept.id)
        return None

    def next_expiry(self) -> datetime | None:
        """Return when the first reservation ends."""
        return min((kept.expiry for kept in self._kept.values()), default=None)

    def expire(self, now: datetime) -> Sequence[Reservation]:
        """Drop what has ended and return it."""
        ended = [kept for kept in self._kept.values() if kept.expiry <= now]
        for kept in ended:
            del self._kept[kept.id]
        return ended
