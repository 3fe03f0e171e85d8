"""When a session is given up."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from session_service.domain.flags import Flag
from session_service.domain.silence import Patience, QuietSession, Sighting, reason_to_give_up

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PATIENCE = Patience(after_boot=timedelta(hours=1), silence=timedelta(hours=24))


def ago(hours: float | None) -> datetime | None:
    return None if hours is None else NOW - timedelta(hours=hours)


@pytest.mark.parametrize(
    ("last_sign", "boot", "seen", "why"),
    [
        (23, None, None, None),
        (24, None, None, Flag.STOP_MISSING_SILENCE),
        (30, None, 30, Flag.STOP_MISSING_SILENCE),
        (30, None, 0, None),  # it lives, and may charge without telling meter values
        (3, 2, 0, Flag.STOP_MISSING_BOOT),
        (3, 0.5, 0, None),  # it has just booted
        (2, 3, 0, None),  # the session was heard of after the boot
        (30, 31, 25, Flag.STOP_MISSING_SILENCE),
    ],
)
def test_session_is_given_up_after_a_boot_or_a_long_silence(
    last_sign: float, boot: float | None, seen: float | None, why: Flag | None
) -> None:
    sign = ago(last_sign)
    assert sign is not None
    quiet = QuietSession(uuid.UUID(int=1), "CP-1", sign)
    assert reason_to_give_up(quiet, Sighting(ago(boot), ago(seen)), PATIENCE, NOW) is why
