"""Times as OCPP writes them."""

from datetime import UTC, datetime

from ocpp.exceptions import PropertyConstraintViolationError


def ocpp_time(moment: datetime) -> str:
    """Return a time as OCPP writes it, with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Return the time that a text says; one without an offset is UTC.

    Raises:
        PropertyConstraintViolationError: The text is no time; the schemas let it pass.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PropertyConstraintViolationError(
            description=f"{text[:40]!r} is not a time."
        ) from None


def parse_optional_time(text: str | None) -> datetime | None:
    """Return the time that a text says, None for none.

    Raises:
        PropertyConstraintViolationError: The text is no time.
    """
    return None if text is None else parse_time(text)
