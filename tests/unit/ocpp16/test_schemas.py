import pytest

from gateway.ocppj.actions import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS, refusal_of
from gateway.ocppj.frames import ErrorCode
from ocpp16.schemas import Schemas

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas()


def test_there_is_a_schema_for_every_action_of_either_side_and_no_other(schemas: Schemas) -> None:
    assert set(schemas.actions) == CHARGE_POINT_ACTIONS | CENTRAL_SYSTEM_ACTIONS
    for action in schemas.actions:
        assert not schemas.request(action).is_valid("text")
        assert not schemas.response(action).is_valid("text")


def test_request_and_response_are_told_apart(schemas: Schemas) -> None:
    answer = {"currentTime": "2026-01-02T03:04:05Z"}
    assert schemas.request("Heartbeat").is_valid({})
    assert not schemas.request("Heartbeat").is_valid(answer)
    assert schemas.response("Heartbeat").is_valid(answer)
    assert not schemas.response("Heartbeat").is_valid({})


def test_a_valid_payload_has_no_errors(schemas: Schemas) -> None:
    assert schemas.request("StatusNotification").is_valid(STATUS)
    assert schemas.request("StatusNotification").errors(STATUS) == []


@pytest.mark.parametrize(
    ("change", "path", "keyword", "expected"),
    [
        ({"status": "Busy"}, ("status",), "enum", None),
        ({"info": "x" * 51}, ("info",), "maxLength", 50),
        ({"timestamp": "2026-01-02T03:04:05"}, ("timestamp",), "format", "date-time"),
        ({"connectorId": "1"}, ("connectorId",), "type", ["integer"]),
        ({"connectorId": 1.0}, ("connectorId",), "type", ["integer"]),
        ({"connectorId": 2**31}, ("connectorId",), "maximum", 2**31 - 1),
        ({"connectorId": -(2**31) - 1}, ("connectorId",), "minimum", -(2**31)),
        ({"Info": ""}, (), "additionalProperties", ["Info"]),
    ],
)
def test_an_error_says_where_and_what(
    schemas: Schemas,
    change: dict[str, object],
    path: tuple[str, ...],
    keyword: str,
    expected: object,
) -> None:
    validator = schemas.request("StatusNotification")
    (error,) = validator.errors(STATUS | change)
    assert not validator.is_valid(STATUS | change)
    assert (error.path, error.keyword) == (path, keyword)
    assert expected is None or error.expected == expected


@pytest.mark.parametrize("name", ["transactionId", "meterStop"])
def test_registers_and_transactions_have_64_bits(schemas: Schemas, name: str) -> None:
    stop = {"transactionId": 1, "meterStop": 1, "timestamp": "2026-01-02T03:04:05Z"}
    validator = schemas.request("StopTransaction")
    assert validator.is_valid(stop | {name: 2**63 - 1})
    assert validator.is_valid(stop | {name: -(2**63)})
    assert not validator.is_valid(stop | {name: 2**63})


def test_an_error_does_not_repeat_the_value(schemas: Schemas) -> None:
    key = {"key": "AuthorizationKey", "readonly": "secret", "value": "x" * 501}
    errors = schemas.response("GetConfiguration").errors({"configurationKey": [key]})
    assert [error.keyword for error in errors] == ["type", "maxLength"]
    assert not any("secret" in error.message or "xx" in error.message for error in errors)


@pytest.mark.parametrize(
    ("action", "payload", "optional"),
    [
        ("StatusNotification", STATUS | {"info": 5}, True),
        ("StatusNotification", STATUS | {"status": 5}, False),
        ("MeterValues", {"connectorId": 1, "meterValue": [5]}, False),
        ("LogStatusNotification", {"status": "Idle", "requestId": "x"}, True),
        ("LogStatusNotification", {"status": "Unheard", "requestId": 1}, False),
    ],
)
def test_an_error_knows_whether_its_member_is_optional(
    schemas: Schemas, action: str, payload: dict[str, object], *, optional: bool
) -> None:
    assert {error.is_optional for error in schemas.request(action).errors(payload)} == {optional}


def test_the_security_extension_takes_integers_as_strictly_as_the_core(schemas: Schemas) -> None:
    payload = {"status": "Uploading", "requestId": 12.0}
    assert not schemas.request("LogStatusNotification").is_valid(payload)


def test_nesting_without_end_is_an_error(schemas: Schemas) -> None:
    payload: dict[str, object] = {}
    for _ in range(600):
        payload = {"data": payload}
    (error,) = schemas.request("DataTransfer").errors(payload)
    assert error.keyword == "depth"
    assert not schemas.request("DataTransfer").is_valid(payload)


def test_an_unknown_action_is_a_key_error(schemas: Schemas) -> None:
    with pytest.raises(KeyError):
        schemas.request("Fly")
    with pytest.raises(KeyError):
        schemas.response("Fly")


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("Heartbeat", None),
        ("DataTransfer", None),
        ("Reset", ErrorCode.NOT_SUPPORTED),
        ("NotifyReport", ErrorCode.NOT_IMPLEMENTED),
    ],
)
def test_actions_are_refused_by_what_ocpp_says_of_them(action: str, code: ErrorCode | None) -> None:
    assert refusal_of(action) is code
