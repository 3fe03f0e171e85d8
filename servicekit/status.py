"""Platform errors as `google.rpc.Status` and back."""

from datetime import timedelta
from typing import TypeVar

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from servicekit.errors import ErrorKind, InvalidRequest, PlatformError, ToldError, Violation

Detail = TypeVar("Detail", bound=Message)

ERROR_DOMAIN = "csms"
"""The domain of every `ErrorInfo` (AIP-193)."""


def to_status(error: PlatformError) -> status_pb2.Status:
    """Return the status of an error: an ErrorInfo, and what else helps the caller."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.kind.name), message=error.message)
    status.details.extend(_packed(detail) for detail in _details(error))
    return status


def from_status(status: status_pb2.Status) -> PlatformError | None:
    """Return the error that a service of the installation told, to be passed on.

    None when it comes from elsewhere: gRPC itself has errors, for a service that is away.
    """
    info = _unpacked(status, error_details_pb2.ErrorInfo())
    name = code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else ""
    if info is None or info.domain != ERROR_DOMAIN or name not in ErrorKind.__members__:
        return None
    bad_request = _unpacked(status, error_details_pb2.BadRequest())
    if bad_request is not None:
        return InvalidRequest(
            [Violation(item.field, item.description) for item in bad_request.field_violations]
        )
    return ToldError(
        ErrorKind[name],
        info.reason,
        status.message,
        retry_after=_retry_after(status),
        metadata=info.metadata,
    )


def reason_of(status: status_pb2.Status) -> str:
    """Return the reason of a status' ErrorInfo; empty when it carries none."""
    info = _unpacked(status, error_details_pb2.ErrorInfo())
    return "" if info is None else str(info.reason)


def _retry_after(status: status_pb2.Status) -> timedelta | None:
    retry = _unpacked(status, error_details_pb2.RetryInfo())
    return None if retry is None else retry.retry_delay.ToTimedelta()


def _unpacked(status: status_pb2.Status, detail: Detail) -> Detail | None:
    """Fill a message from the detail of its type; None when there is none."""
    return detail if any(packed.Unpack(detail) for packed in status.details) else None


def _details(error: PlatformError) -> list[Message]:
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata
        )
    ]
    if isinstance(error, InvalidRequest):
        details.append(_bad_request(error))
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        details.append(retry)
    return details


def _bad_request(error: InvalidRequest) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation
    return error_details_pb2.BadRequest(
        field_violations=[
            violation(field=item.field, description=item.description) for item in error.violations
        ]
    )


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail, deterministic=True)
    return packed
