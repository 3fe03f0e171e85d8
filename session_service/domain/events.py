"""What happens to sessions, as it is told to those who watch."""

import enum
from dataclasses import dataclass
from datetime import datetime


class Change(enum.StrEnum):
    """What has happened to a session."""

    STARTED = "SESSION_STARTED"
    ENDED = "SESSION_ENDED"
    CHANGED = "SESSION_CHANGED"
    """What is known of it was corrected, or a doubt about it was noted or settled."""


@dataclass(frozen=True)
class SessionEvent:
    """One thing that happened to a session.

    Attributes:
        change: What it was.
        snapshot: The session as it was then, as it is shown to operators; serialized.
        time: When the transaction began that has stored it.
    """

    change: Change
    snapshot: bytes
    time: datetime


@dataclass(frozen=True)
class News:
    """How far a watcher has come.

    Attributes:
        cursor: Where to go on.
        event: What happened; None when nothing has that the watcher asked for.
    """

    cursor: str
    event: SessionEvent | None = None
