"""Errors as `google.rpc.Status`."""

from datetime import timedelta

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from servicekit import errors
from servicekit.errors import ErrorKind, InvalidRequest, PlatformError, QueueFull, Violation
from servicekit.status import from_status, reason_of, to_status


def detail(status: status_pb2.Status, message: Message) -> Message:
    assert [packed.Unpack(message) for packed in status.details].count(True) == 1
    return message


def test_error_carries_reason_domain_and_metadata() -> None:
    status = to_status(QueueFull("Too many wait.", gateway="g", waiting=3))
    info = detail(status, error_details_pb2.ErrorInfo())
    assert info == error_details_pb2.ErrorInfo(
        reason="QUEUE_FULL", domain="csms", metadata={"gateway": "g", "waiting": "3"}
    )
    assert (status.message, status.code) == ("Too many wait.", 8)


def test_retry_delay_is_told() -> None:
    status = to_status(QueueFull("Too many wait.", retry_after=timedelta(seconds=1.5)))
    delay = detail(status, error_details_pb2.RetryInfo())
    assert delay == error_details_pb2.RetryInfo(retry_delay={"seconds": 1, "nanos": 500_000_000})


def test_every_violation_is_told() -> None:
    status = to_status(InvalidRequest([Violation("a", "is wrong"), Violation("b.c", "too")]))
    request = detail(status, error_details_pb2.BadRequest())
    assert request == error_details_pb2.BadRequest(
        field_violations=[
            {"field": "a", "description": "is wrong"},
            {"field": "b.c", "description": "too"},
        ]
    )


def test_error_without_extras_has_one_detail() -> None:
    assert len(to_status(QueueFull("Too many wait.")).details) == 1


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_is_a_grpc_code(kind: ErrorKind) -> None:
    error = type("Error", (PlatformError,), {"kind": kind})("It went wrong.")
    assert to_status(error).code == grpc.StatusCode[kind.name].value[0]


def all_errors() -> list[type[PlatformError]]:
    candidates = [item for item in vars(errors).values() if isinstance(item, type)]
    return [item for item in candidates if issubclass(item, PlatformError)]


WITHOUT_REASON = (PlatformError, errors.InternalError, errors.ToldError)


def test_reasons_are_unique() -> None:
    named = [item for item in all_errors() if item not in WITHOUT_REASON]
    reasons = [item.reason for item in named]
    assert len(set(reasons)) == len(reasons) >= 8


def test_reason_is_read_back() -> None:
    assert reason_of(to_status(QueueFull("Too many wait."))) == "QUEUE_FULL"


def test_foreign_status_has_no_reason() -> None:
    assert not reason_of(status_pb2.Status(code=2, message="foreign"))


@pytest.mark.parametrize(
    "error",
    [
        QueueFull("Too many wait.", retry_after=timedelta(seconds=1.5), gateway="g", waiting=3),
        errors.EtagMismatch("It changed."),
        InvalidRequest([Violation("a", "is wrong"), Violation("b.c", "too")]),
    ],
    ids=lambda error: error.reason,
)
def test_error_of_another_service_is_passed_on_whole(error: PlatformError) -> None:
    told = from_status(to_status(error))
    assert told is not None
    assert to_status(told) == to_status(error)


def test_foreign_status_is_no_error_of_ours() -> None:
    assert from_status(status_pb2.Status(code=14, message="connection refused")) is None
    foreign = to_status(QueueFull("Too many wait."))
    foreign.details[0].Pack(error_details_pb2.ErrorInfo(reason="QUEUE_FULL", domain="elsewhere"))
    assert from_status(foreign) is None
    for code in (1, 999):
        unheard = to_status(QueueFull("Too many wait."))
        unheard.code = code
        assert from_status(unheard) is None
