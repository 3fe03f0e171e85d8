"""What charge points said and what could not be placed: nothing is thrown away."""

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime


class QuarantineReason(enum.StrEnum):
    """Why something that was said is in quarantine."""

    UNREADABLE_FRAME = "UNREADABLE_FRAME"
    UNKNOWN_TRANSACTION = "UNKNOWN_TRANSACTION"
    SECOND_STOP = "SECOND_STOP"
    EMPTY_METER_VALUES = "EMPTY_METER_VALUES"


@dataclass(frozen=True)
class QuarantineEntry:
    """Something that a charge point said and that could not be placed.

    Attributes:
        digest: Identifies the content: an entry is kept once.
    """

    id: uuid.UUID
    charge_point_id: str
    action: str
    reason: QuarantineReason
    detail: str
    raw_text: str
    receive_time: datetime
    digest: uuid.UUID
