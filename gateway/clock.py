"""Times as OCPP writes them."""

from datetime import datetime


def ocpp_time(time: datetime) -> str:
    """Return `2026-01-02T03:04:05Z`; some charge points misread fractions and offsets."""
    return f"{time.isoformat()[:19]}Z"
