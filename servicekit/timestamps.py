"""Between `google.protobuf.Timestamp` and `datetime`, always in UTC."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def to_timestamp(time: datetime | None) -> Timestamp | None:
    """Return the message of a time; None, which leaves a field unset, for no time."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def to_datetime(message: Timestamp) -> datetime:
    """Return the time of a message.

    Raises:
        ValueError: It lies outside of the years 1 to 9999.
    """
    try:
        return message.ToDatetime(UTC)
    except (OverflowError, ValueError):
        raise ValueError("must be a time of the years 1 to 9999") from None
