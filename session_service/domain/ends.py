"""Ends of sessions, and how they are known."""

import dataclasses
import enum
from dataclasses import dataclass
from datetime import datetime

from servicekit.errors import ErrorKind, PlatformError
from session_service.domain.facts import IdTagInfo, Stop


class SessionAlreadyEnded(PlatformError):
    """The charge point has told how the session ended."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "SESSION_ALREADY_ENDED"


class Source(enum.StrEnum):
    """How an end of a session is known."""

    STATION = "STATION"
    """The charge point told it."""
    INFERRED = "INFERRED"
    """It follows from what else is known; the charge point has not told it."""
    OPERATOR = "OPERATOR"
    """An operator has set it."""


@dataclass(frozen=True)
class Closing:
    """An operator's word that a session has ended.

    Attributes:
        time: None: as it was inferred or set before, else when the register was last read.
        meter_stop: In Wh; None: as it was inferred or set before, else what was read last.
        comment: Empty: as it was said before.
    """

    time: datetime | None
    meter_stop: int | None
    comment: str
    closed_by: str


@dataclass(frozen=True)
class End:
    """How a session ended.

    Attributes:
        receive_time: When it was received, inferred or set.
        comment: What the operator said who has closed the session; it stays when a stop comes.
        closed_by: Who that was.
        meter_stop: In Wh; None: the charge point told none, and no register is known instead.
        meter_stop_reported: Whether the charge point told the register, if it told the end.
    """

    time: datetime
    time_reported: bool
    receive_time: datetime
    meter_stop: int | None
    reason: str | None = None
    id_tag: str | None = None
    id_tag_info: IdTagInfo | None = None
    source: Source = Source.STATION
    comment: str = ""
    closed_by: str = ""
    meter_stop_reported: bool = True

    def is_repeated_by(self, stop: Stop) -> bool:
        """Tell whether a stop says what was said before."""
        time = self.time if self.time_reported else None
        meter_stop = self.meter_stop if self.meter_stop_reported else None
        return (time, meter_stop, self.reason, self.id_tag) == (
            stop.time,
            stop.meter_stop,
            stop.reason,
            stop.id_tag,
        )

    def closed(self, closing: Closing) -> "End":
        """Return the end as an operator sets it; what they leave out stays as it is."""
        return dataclasses.replace(
            self,
            time=closing.time or self.time,
            time_reported=self.time_reported or closing.time is not None,
            meter_stop=self.meter_stop if closing.meter_stop is None else closing.meter_stop,
            source=Source.OPERATOR,
            comment=closing.comment or self.comment,
        )
