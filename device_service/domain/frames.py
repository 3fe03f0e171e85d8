"""Frames on the wire of a charge point, as people are shown them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, secrets masked.

    Attributes:
        time: When it passed the gateway.
        from_charge_point: Whether the charge point sent it.
        text: As it was sent.
        action: To which it belongs; empty when that is not known.
        repairs: The rules that were applied to it.
        connection_id: The connection on which it passed.
        dropped_count: Frames left out before it, because the watcher was too slow.
    """

    time: datetime
    from_charge_point: bool
    text: str
    action: str
    repairs: tuple[str, ...]
    connection_id: str
    dropped_count: int = 0
