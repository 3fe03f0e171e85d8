"""Reading the errors that a gRPC call ended with."""

from dataclasses import dataclass

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class RpcFailure:
    """How a call failed: gRPC code, ErrorInfo reason, fields with violations."""

    code: grpc.StatusCode
    reason: str
    fields: tuple[str, ...]


def failure(raised: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> RpcFailure:
    """Return what the error of a call says."""
    status = rpc_status.from_call(raised.value)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        for message in (info, bad_request):
            detail.Unpack(message)
    fields = tuple(item.field for item in bad_request.field_violations)
    return RpcFailure(raised.value.code(), info.reason, fields)
