"""Platform errors as `google.rpc.Status` and back."""

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from servicekit.errors import InvalidRequest, PlatformError

ERROR_DOMAIN = "csms"
"""The domain of every `ErrorInfo` (AIP-193)."""


def to_status(error: PlatformError) -> status_pb2.Status:
    """Return the status of an error: an ErrorInfo, and what else helps the caller."""
    status = status_pb2.Status(code=code_pb2.Code.Value(error.kind.name), message=error.message)
    status.details.extend(_packed(detail) for detail in _details(error))
    return status


def grpc_code(error: PlatformError) -> grpc.StatusCode:
    """Return the gRPC status code of an error."""
    return grpc.StatusCode[error.kind.name]


def reason_of(status: status_pb2.Status) -> str:
    """Return the reason of a status' ErrorInfo; empty when it carries none."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""


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
    packed.Pack(detail)
    return packed
