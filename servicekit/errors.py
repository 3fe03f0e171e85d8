"""The errors that cross a boundary of voltmesh, free of any transport.

Domain code raises a subclass that says what is wrong; the gRPC interceptor and the call server turn
it into a `google.rpc.Status` (`servicekit.status`). See ADR 0005.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta


class ErrorKind(enum.Enum):
    """What a caller can do about an error; the names are gRPC's status codes."""

    INVALID_ARGUMENT = enum.auto()
    NOT_FOUND = enum.auto()
    ALREADY_EXISTS = enum.auto()
    FAILED_PRECONDITION = enum.auto()
    ABORTED = enum.auto()
    OUT_OF_RANGE = enum.auto()
    RESOURCE_EXHAUSTED = enum.auto()
    UNAVAILABLE = enum.auto()
    DEADLINE_EXCEEDED = enum.auto()
    UNIMPLEMENTED = enum.auto()
    INTERNAL = enum.auto()


class PlatformError(Exception):
    """Root of the errors that callers may see.

    Args:
        message: One sentence for people, ending with a full stop.
        retry_after: How long to wait before the same request may succeed.
        metadata: What varies in the message, for machines.
    """

    kind: ErrorKind = ErrorKind.INTERNAL
    reason: str = "INTERNAL"

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, **metadata: object
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.metadata = {key: str(value) for key, value in metadata.items()}


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with a request: the field's path and what it has to be."""

    field: str
    description: str


class InvalidRequest(PlatformError):
    """A request whose fields are missing or wrong; carries every violation at once."""

    kind, reason = ErrorKind.INVALID_ARGUMENT, "INVALID_REQUEST"

    def __init__(self, violations: Sequence[Violation]) -> None:
        summary = "; ".join(f"{item.field}: {item.description}" for item in violations)
        super().__init__(f"The request is not valid: {summary}")
        self.violations = tuple(violations)


class InvalidPageToken(PlatformError):
    """A page token that this method did not make for these filters."""

    kind, reason = ErrorKind.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"


class EtagMismatch(PlatformError):
    """An update of a version that is no longer the current one."""

    kind, reason = ErrorKind.ABORTED, "ETAG_MISMATCH"


class QueueFull(PlatformError):
    """A bounded queue that cannot take more now."""

    kind, reason = ErrorKind.RESOURCE_EXHAUSTED, "QUEUE_FULL"


class DatabaseUnavailable(PlatformError):
    """A database that cannot be reached, or that did not answer in time."""

    kind, reason = ErrorKind.UNAVAILABLE, "DATABASE_UNAVAILABLE"


class ServiceUnavailable(PlatformError):
    """Another service, needed for the answer, that cannot be reached."""

    kind, reason = ErrorKind.UNAVAILABLE, "SERVICE_UNAVAILABLE"


class DeadlineExceeded(PlatformError):
    """An answer that was not ready in time."""

    kind, reason = ErrorKind.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"


class ActionNotSupported(PlatformError):
    """An action that was sent to a service that does not own it."""

    kind, reason = ErrorKind.UNIMPLEMENTED, "ACTION_NOT_SUPPORTED"


class ToldError(PlatformError):
    """An error that another service of the installation told, to be passed on as it is.

    Args:
        kind: What a caller can do about it.
        reason: What the service gave as reason.
        message: What the service told people.
        retry_after: How long to wait before the same request may succeed.
        metadata: What varies in the message, for machines.
    """

    def __init__(
        self,
        kind: ErrorKind,
        reason: str,
        message: str,
        *,
        retry_after: timedelta | None = None,
        metadata: Mapping[str, str],
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.kind, self.reason, self.metadata = kind, reason, dict(metadata)


class InternalError(PlatformError):
    """A defect; what happened stands in the log."""
