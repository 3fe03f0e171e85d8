"""Sessions of which nothing more is heard: when they are given up."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from session_service.domain.flags import Flag


@dataclass(frozen=True)
class QuietSession:
    """A running session whose charge point has told nothing of it for a while.

    Attributes:
        last_sign: When its start or its newest meter value was received.
    """

    session_id: uuid.UUID
    charge_point_id: str
    last_sign: datetime


@dataclass(frozen=True)
class Sighting:
    """What is known of a charge point itself; None: it never was."""

    last_boot_time: datetime | None = None
    last_seen_time: datetime | None = None


@dataclass(frozen=True)
class Patience:
    """How long nothing may be heard.

    Attributes:
        after_boot: Of a session, by a charge point that has booted since.
        silence: Of a charge point.
    """

    after_boot: timedelta
    silence: timedelta


def reason_to_give_up(
    session: QuietSession, sighting: Sighting, patience: Patience, now: datetime
) -> Flag | None:
    """Return why a session is taken to have ended; None while it may still run.

    A charge point that lives and has not booted may charge without telling meter values; one that
    has booted may go on with the transaction, and tells of it then.
    """
    boot, seen = sighting.last_boot_time, sighting.last_seen_time
    if boot is not None and session.last_sign < boot <= now - patience.after_boot:
        return Flag.STOP_MISSING_BOOT
    if max(session.last_sign, seen or session.last_sign) <= now - patience.silence:
        return Flag.STOP_MISSING_SILENCE
    return None
