"""Between protobuf's `Timestamp` and `Duration` and Python's, times always in UTC."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_timestamp(time: datetime | None) -> Timestamp | None:
    """Return the message of a time; None, which leaves a field unset, for no time."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def to_duration(span: timedelta | None) -> Duration | None:
    """Return the message of a span of time; None, which leaves a field unset, for none."""
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


def to_datetime(message: Timestamp) -> datetime:
    """Return the time of a message.

    Raises:
        ValueError: It lies outside of the years 1 to 9999.
    """
    try:
        return _EPOCH + timedelta(0, message.seconds, message.nanos // 1000)
    except OverflowError:
        raise ValueError("must be a time of the years 1 to 9999") from None
