"""How far somebody has read the events of an outbox."""

import base64
import binascii
from dataclasses import dataclass
from typing import Self

import orjson

from servicekit.errors import ErrorKind, PlatformError

_MAX_POSITION = 2**63 - 1


class EventCursorExpired(PlatformError):
    """Events behind a cursor are gone, or belong to a database that is no longer this one."""

    kind, reason = ErrorKind.OUT_OF_RANGE, "EVENT_CURSOR_EXPIRED"


@dataclass(frozen=True)
class Cursor:
    """Stands behind an event; its text is opaque to callers.

    Attributes:
        origin: The history of the database that placed the event.
        position: The place of the event; 0 stands before the first.
    """

    origin: str
    position: int

    def __str__(self) -> str:
        """Return the text that callers keep."""
        content = orjson.dumps([self.origin, self.position])
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor of a text.

        Raises:
            ValueError: It is none that an outbox made.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            parts = orjson.loads(base64.urlsafe_b64decode(padded))
        except (ValueError, binascii.Error):
            parts = None
        match parts:
            case [str(origin), int(position)] if 0 <= position <= _MAX_POSITION:
                return cls(origin, position)
        raise ValueError("must be empty or the cursor of an event")
