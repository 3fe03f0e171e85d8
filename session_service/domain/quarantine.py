"""What charge points said and what could not be placed: nothing is thrown away."""

import dataclasses
import enum
import uuid
from dataclasses import dataclass
from datetime import datetime

from servicekit.errors import ErrorKind, PlatformError


class QuarantineReason(enum.StrEnum):
    """Why something that was said is in quarantine."""

    UNREADABLE_FRAME = "UNREADABLE_FRAME"
    UNKNOWN_TRANSACTION = "UNKNOWN_TRANSACTION"
    SECOND_STOP = "SECOND_STOP"
    EMPTY_METER_VALUES = "EMPTY_METER_VALUES"


class QuarantineEntryNotFound(PlatformError):
    """No quarantine entry has this name."""

    kind, reason = ErrorKind.NOT_FOUND, "QUARANTINE_ENTRY_NOT_FOUND"


class QuarantineEntryAlreadyResolved(PlatformError):
    """The entry was resolved before, in another way."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "QUARANTINE_ENTRY_ALREADY_RESOLVED"


class QuarantineState(enum.Enum):
    """Whether an entry still waits for somebody."""

    OPEN = enum.auto()
    RESOLVED = enum.auto()


@dataclass(frozen=True)
class Resolution:
    """What became of an entry.

    Attributes:
        resolved_by: Who resolved it; empty: nobody said, or voltmesh itself.
        session_id: The session that it belonged to; None: no session.
    """

    time: datetime
    comment: str
    resolved_by: str = ""
    session_id: uuid.UUID | None = None

    def says_the_same(self, other: "Resolution") -> bool:
        """Tell whether another resolution is a repeat of this one."""
        return (self.comment, self.session_id) == (other.comment, other.session_id)


@dataclass(frozen=True)
class QuarantineEntry:
    """Something that a charge point said and that could not be placed.

    Attributes:
        digest: Identifies the content: an entry is kept once.
        resolution: None while it is open.
    """

    id: uuid.UUID
    charge_point_id: str
    action: str
    reason: QuarantineReason
    detail: str
    raw_text: str
    receive_time: datetime
    digest: uuid.UUID
    resolution: Resolution | None = None

    def resolved(self, resolution: Resolution) -> "QuarantineEntry":
        """Return the entry as it is once it is resolved; the same resolution changes nothing.

        Raises:
            QuarantineEntryAlreadyResolved: It was resolved in another way.
        """
        if self.resolution is None:
            return dataclasses.replace(self, resolution=resolution)
        if not self.resolution.says_the_same(resolution):
            raise QuarantineEntryAlreadyResolved(
                f"Quarantine entry {self.id} was resolved before.", quarantine_entry=self.id
            )
        return self

    @property
    def state(self) -> QuarantineState:
        """Whether the entry still waits for somebody."""
        return QuarantineState.RESOLVED if self.resolution else QuarantineState.OPEN


@dataclass(frozen=True)
class QuarantineFilter:
    """Which entries a list shows; None: all."""

    charge_point_id: str | None = None
    state: QuarantineState | None = None
    reason: QuarantineReason | None = None
