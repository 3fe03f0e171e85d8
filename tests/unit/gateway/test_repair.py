import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ocppj.actions import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS
from gateway.ocppj.frames import ErrorCode
from gateway.repair import Repaired, Repairer
from gateway.repair.rules import RULES
from ocpp16.schemas import Schemas
from tests.unit.gateway.payloads import payloads

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
NOW_TEXT = "2026-01-02T03:04:05Z"
T = "2026-01-01T00:00:00Z"
SCHEMAS = Schemas()
REPAIRER = Repairer(SCHEMAS)

BOOT = {"chargePointVendor": "Voltaic", "chargePointModel": "V1"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
START = {"connectorId": 1, "idTag": "TAG-1", "meterStart": 10, "timestamp": T}
STOP = {"transactionId": 7, "meterStop": 20, "timestamp": T}
UNREADABLE = ("abc", "", "NaN", "1e999", True, [5], {"value": 5}, 2**63, -(2**63) - 1)
NO_REGISTER = STOP | {"meterStop": 0}
GOOD = {"value": "230.1", "measurand": "Voltage"}


def meter_values(*samples: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": T, "sampledValue": list(samples)}]}


def samples_of(repaired: Repaired) -> list[Any]:
    (entry,) = repaired.payload["meterValue"]
    return list(entry["sampledValue"])


def repair(action: str, payload: Any) -> Repaired:
    before = copy.deepcopy(payload)
    repaired = REPAIRER.repair(action, payload, NOW)
    assert payload == before
    return repaired


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("BootNotification", BOOT),
        ("StatusNotification", STATUS),
        ("MeterValues", meter_values(GOOD)),
        ("StartTransaction", START),
        ("StopTransaction", STOP),
        ("Heartbeat", {}),
    ],
)
def test_a_valid_payload_is_not_touched(action: str, payload: dict[str, Any]) -> None:
    repaired = REPAIRER.repair(action, payload, NOW)
    assert repaired.payload is payload
    assert (repaired.rules, repaired.violations) == ((), ())


MEMBERS: list[tuple[str, Any, dict[str, Any], str]] = [
    ("Heartbeat", None, {}, "payload_missing"),
    ("Heartbeat", [], {}, "payload_missing"),
    ("Heartbeat", "", {}, "payload_missing"),
    ("Heartbeat", [{}], {}, "list_as_object"),
    ("Authorize", {"idTag": "A", "connectorId": 2}, {"idTag": "A"}, "unknown_field_dropped"),
    ("Authorize", {"IdTag": "A"}, {"idTag": "A"}, "field_name_case"),
    ("Authorize", {"id_tag": "A"}, {"idTag": "A"}, "field_name_case"),
    ("Authorize", {}, {"idTag": ""}, "member_defaulted"),
    ("Authorize", {"idTag": 1234}, {"idTag": "1234"}, "number_as_text"),
    ("Authorize", {"idTag": "A\x10\x0e" + "B" * 18}, {"idTag": "A" + "B" * 18}, "id_tag_trimmed"),
    ("Authorize", {"idTag": "A" * 20 + "-"}, {"idTag": "A" * 20}, "id_tag_trimmed"),
    ("Authorize", {"idTag": "A" * 21}, {"idTag": ""}, "id_tag_too_long"),
    ("StartTransaction", START | {"idTag": "A" * 21}, START | {"idTag": ""}, "id_tag_too_long"),
    ("StopTransaction", STOP | {"idTag": "A" * 21}, STOP | {"idTag": "A" * 20}, "text_cut"),
    ("StopTransaction", STOP | {"Reason": "Local"}, STOP | {"reason": "Local"}, "field_name_case"),
    ("StopTransaction", STOP | {"idTag": None}, STOP, "null_dropped"),
    ("StopTransaction", STOP | {"reason": ""}, STOP, "empty_text_dropped"),
    ("StopTransaction", STOP | {"reason": "local"}, STOP | {"reason": "Local"}, "enum_case"),
    (
        "StopTransaction",
        STOP | {"reason": "Bored"},
        STOP | {"reason": "Other"},
        "enum_unknown_other",
    ),
    ("StopTransaction", STOP | {"transactionData": "no"}, STOP, "unreadable_member_dropped"),
    ("StopTransaction", STOP | {"transactionId": "7"}, STOP, "text_as_number"),
    ("StopTransaction", STOP | {"transactionId": "7.0"}, STOP, "text_as_number"),
    ("StopTransaction", STOP | {"transactionId": 7.0}, STOP, "whole_number_as_integer"),
    (
        "StopTransaction",
        STOP | {"transactionId": "x7"},
        STOP | {"transactionId": 0},
        "transaction_id_unreadable",
    ),
    (
        "StopTransaction",
        STOP | {"transactionId": 2**63},
        STOP | {"transactionId": 0},
        "transaction_id_out_of_range",
    ),
    ("StopTransaction", {"transactionId": 7, "timestamp": T}, NO_REGISTER, "register_missing"),
    *[
        ("StopTransaction", STOP | {"meterStop": unreadable}, NO_REGISTER, "register_unreadable")
        for unreadable in UNREADABLE
    ],
    (
        "StartTransaction",
        {"connectorId": 1, "idTag": "TAG-1", "timestamp": T},
        START | {"meterStart": 0},
        "register_missing",
    ),
    *[
        (
            "StartTransaction",
            START | {"meterStart": unreadable},
            START | {"meterStart": 0},
            "register_unreadable",
        )
        for unreadable in UNREADABLE
    ],
    (
        "StopTransaction",
        {"meterStop": 20, "timestamp": T},
        STOP | {"transactionId": 0},
        "member_defaulted",
    ),
    (
        "StartTransaction",
        START | {"meterStart": 9.7},
        START | {"meterStart": 10},
        "fractional_register_rounded",
    ),
    ("StartTransaction", START | {"reservationId": ""}, START, "empty_text_dropped"),
    ("StartTransaction", START | {"reservationId": {}}, START, "unreadable_member_dropped"),
    ("StatusNotification", STATUS | {"status": "available"}, STATUS, "enum_case"),
    ("StatusNotification", STATUS | {"errorCode": ""}, STATUS, "enum_synonym"),
    (
        "StatusNotification",
        STATUS | {"errorCode": "Error"},
        STATUS | {"errorCode": "OtherError", "vendorErrorCode": "Error"},
        "error_code_unknown",
    ),
    (
        "StatusNotification",
        STATUS | {"errorCode": "Error", "vendorErrorCode": "E7"},
        STATUS | {"errorCode": "OtherError", "vendorErrorCode": "E7"},
        "error_code_unknown",
    ),
    ("StatusNotification", STATUS | {"info": "x" * 60}, STATUS | {"info": "x" * 50}, "text_cut"),
    (
        "StatusNotification",
        STATUS | {"info": {"a": 1}},
        STATUS | {"info": '{"a":1}'},
        "json_as_text",
    ),
    ("StatusNotification", STATUS | {"info": True}, STATUS | {"info": "true"}, "boolean_as_text"),
    (
        "BootNotification",
        {"chargePointModel": "V1"},
        BOOT | {"chargePointVendor": ""},
        "member_defaulted",
    ),
    (
        "DataTransfer",
        {"vendorId": "V", "data": [1]},
        {"vendorId": "V", "data": "[1]"},
        "json_as_text",
    ),
    (
        "FirmwareStatusNotification",
        {"status": "InstallFailed"},
        {"status": "InstallationFailed"},
        "enum_synonym",
    ),
    ("MeterValues", {"connectorId": 1}, {"connectorId": 1, "meterValue": []}, "list_missing"),
    (
        "MeterValues",
        {"connectorId": 1, "meterValue": {"timestamp": T, "sampledValue": [GOOD]}},
        meter_values(GOOD),
        "object_as_list",
    ),
    (
        "MeterValues",
        {"connectorId": 1, "meterValue": [5, meter_values(GOOD)["meterValue"][0]]},
        meter_values(GOOD),
        "meter_value_dropped",
    ),
    ("MeterValues", meter_values(), meter_values(), "empty_list_kept"),
]


@pytest.mark.parametrize(("action", "payload", "expected", "rule"), MEMBERS)
def test_a_member_is_repaired(
    action: str, payload: Any, expected: dict[str, Any], rule: str
) -> None:
    repaired = repair(action, payload)
    assert repaired.payload == expected
    assert repaired.violations == ()
    assert rule in repaired.rules
    assert set(repaired.rules) <= {rule, "empty_list_kept"}


@pytest.mark.parametrize(
    ("sent", "read", "rule"),
    [
        ("2023-10-19T15:28:07", "2023-10-19T15:28:07Z", "time_without_zone"),
        ("2023-10-19T15:28:07.25", "2023-10-19T15:28:07.25Z", "time_without_zone"),
        ("2023-10-19T15:28:07+02", "2023-10-19T15:28:07+02:00", "time_short_offset"),
        ("2023-10-19T15:28:07-0330", "2023-10-19T15:28:07-03:30", "time_short_offset"),
        ("2023-10-19 15:28:07Z", "2023-10-19T15:28:07Z", "time_spelling"),
        ("2023-10-19T15:28Z", "2023-10-19T15:28:00Z", "time_spelling"),
        ("2023-10-19T15:28:07,5Z", "2023-10-19T15:28:07.5Z", "time_spelling"),
        ("0000-00-00T00:00:00.000Z", NOW_TEXT, "time_replaced"),
        ("yesterday", NOW_TEXT, "time_replaced"),
        ("", NOW_TEXT, "time_replaced"),
    ],
)
def test_a_time_is_repaired(sent: str, read: str, rule: str) -> None:
    repaired = repair("StartTransaction", START | {"timestamp": sent})
    assert repaired.payload["timestamp"] == read
    assert (repaired.rules, repaired.violations) == ((rule,), ())


@pytest.mark.parametrize(
    ("register", "rules"),
    [
        (None, ("null_dropped", "register_missing")),
        ("1e30", ("text_as_number", "register_unreadable")),
        (1e30, ("whole_number_as_integer", "register_unreadable")),
        ("12.5", ("text_as_number", "fractional_register_rounded")),
    ],
)
def test_a_register_is_given_up_only_where_nothing_reads_it(
    register: Any, rules: tuple[str, ...]
) -> None:
    repaired = repair("StopTransaction", STOP | {"meterStop": register})
    assert (repaired.rules, repaired.violations) == (rules, ())
    assert repaired.payload["meterStop"] == (12 if "fractional" in rules[1] else 0)


def test_several_faults_of_one_time_are_repaired_one_after_the_other() -> None:
    repaired = repair("StartTransaction", START | {"timestamp": "2023-10-19 15:28"})
    assert repaired.payload["timestamp"] == "2023-10-19T15:28:00Z"
    assert repaired.rules == ("time_spelling", "time_without_zone")


def test_a_missing_time_is_the_time_of_reception_only_where_it_is_required() -> None:
    start = {name: value for name, value in START.items() if name != "timestamp"}
    assert repair("StartTransaction", start).payload["timestamp"] == NOW_TEXT
    assert "timestamp" not in repair("StatusNotification", STATUS | {"timestamp": ""}).payload


@pytest.mark.parametrize(
    ("sent", "read", "rule"),
    [
        ({"value": 604.213}, {"value": "604.213"}, "number_as_text"),
        ({"value": 604}, {"value": "604"}, "number_as_text"),
        ({"value": 1e-7}, {"value": "0.0000001"}, "number_as_text"),
        ({"value": "1", "unit": "kwh"}, {"value": "1", "unit": "kWh"}, "enum_case"),
        ({"value": "1", "unit": "C"}, {"value": "1", "unit": "Celsius"}, "enum_synonym"),
        ({"value": "1", "unit": "°C"}, {"value": "1", "unit": "Celsius"}, "enum_synonym"),
        ({"value": "1", "unit": "%"}, {"value": "1", "unit": "Percent"}, "enum_synonym"),
        ({"value": "1", "unit": "Hz"}, {"value": "1", "unit": "Hertz"}, "enum_synonym"),
        ({"value": "1", "unit": ""}, {"value": "1"}, "empty_text_dropped"),
        ({"value": "1", "unit": None}, {"value": "1"}, "null_dropped"),
        ({"value": "1", "phase": "L1N"}, {"value": "1", "phase": "L1-N"}, "enum_case"),
        ({"value": "1", "phase": "Total"}, {"value": "1"}, "phase_total_dropped"),
        (
            {"value": "1", "context": "Odd"},
            {"value": "1", "context": "Other"},
            "enum_unknown_other",
        ),
        (
            {"value": "1", "measurand": "Temperature", "location": "Roof"},
            {"value": "1", "measurand": "Temperature"},
            "enum_unknown_dropped",
        ),
        (
            {"value": "1", "measurand": "RPM", "unit": "rpm"},
            {"value": "1", "measurand": "RPM"},
            "enum_unknown_dropped",
        ),
    ],
)
def test_a_sample_is_repaired(sent: dict[str, Any], read: dict[str, Any], rule: str) -> None:
    repaired = repair("MeterValues", meter_values(GOOD, sent))
    assert samples_of(repaired) == [GOOD, read]
    assert (repaired.rules, repaired.violations) == ((rule,), ())


@pytest.mark.parametrize(
    "sent",
    [
        {"value": "1", "measurand": "Energy.Active.Import"},
        {"value": "1", "unit": "MWh"},
        {"value": "1", "measurand": "Current.Import", "unit": "mA"},
        {"value": "1", "phase": "L4"},
        {"value": "1", "location": "Grid"},
        {"value": "1", "location": 5},
        {"value": "1", "measurand": "Power.Active.Import", "location": "Grid"},
        {"value": {"a": 1}},
        {"value": "1", "measurand": ["Voltage", "Current"]},
        "230.1",
        5,
    ],
)
def test_a_sample_that_cannot_be_understood_costs_no_other(sent: Any) -> None:
    repaired = repair("MeterValues", meter_values(GOOD, sent, GOOD))
    assert samples_of(repaired) == [GOOD, GOOD]
    assert repaired.rules[-1] == "sample_dropped"
    assert repaired.violations == ()


@pytest.mark.parametrize("sent", [{}, {"value": None}, {"measurand": "Voltage"}])
def test_a_sample_without_value_costs_no_other(sent: dict[str, Any]) -> None:
    repaired = repair("MeterValues", meter_values(sent, GOOD))
    assert samples_of(repaired) == [GOOD]
    assert repaired.rules[-1] == "empty_sample_dropped"


def test_a_meter_value_without_a_good_sample_is_still_understood() -> None:
    repaired = repair("MeterValues", meter_values({"value": None}))
    assert samples_of(repaired) == []
    assert repaired.rules == ("null_dropped", "empty_sample_dropped", "empty_list_kept")
    assert repaired.violations == ()


def test_hertz_is_dropped_where_the_schema_has_none() -> None:
    sample = {"value": "50", "measurand": "Frequency", "unit": "Hertz"}
    data = [{"timestamp": T, "sampledValue": [sample]}]
    repaired = repair("StopTransaction", STOP | {"transactionData": data})
    (entry,) = repaired.payload["transactionData"]
    assert entry["sampledValue"] == [{"value": "50", "measurand": "Frequency"}]
    assert repaired.rules == ("enum_unknown_dropped",)


def test_everything_wrong_at_once() -> None:
    payload = [{"ConnectorID": "1", "MeterValue": {"sampled_value": {"Value": 5, "Unit": "c"}}}]
    repaired = repair("MeterValues", payload)
    assert repaired.payload == {
        "connectorId": 1,
        "meterValue": [
            {"timestamp": NOW_TEXT, "sampledValue": [{"value": "5", "unit": "Celsius"}]}
        ],
    }
    assert repaired.violations == ()


@pytest.mark.parametrize(
    ("action", "payload", "path", "code"),
    [
        (
            "StatusNotification",
            STATUS | {"status": "Busy"},
            "status",
            "PropertyConstraintViolation",
        ),
        ("StatusNotification", {"connectorId": 1}, "", "OccurenceConstraintViolation"),
        (
            "StatusNotification",
            STATUS | {"connectorId": {}},
            "connectorId",
            "TypeConstraintViolation",
        ),
        (
            "StatusNotification",
            STATUS | {"connectorId": 1.5},
            "connectorId",
            "TypeConstraintViolation",
        ),
        (
            "StartTransaction",
            {"idTag": "TAG-1", "meterStart": 10, "timestamp": T},
            "",
            "OccurenceConstraintViolation",
        ),
        (
            "StatusNotification",
            STATUS | {"connectorId": 2**31},
            "connectorId",
            "PropertyConstraintViolation",
        ),
        ("SignCertificate", {"csr": "x" * 5501}, "csr", "PropertyConstraintViolation"),
        ("Heartbeat", 5, "", "FormationViolation"),
        ("Heartbeat", "x", "", "FormationViolation"),
    ],
)
def test_what_cannot_be_guessed_is_a_violation(
    action: str, payload: Any, path: str, code: str
) -> None:
    violation = repair(action, payload).violations[0]
    assert (violation.path, violation.code) == (path, code)
    assert violation.message


def test_nesting_without_end_is_a_violation() -> None:
    payload: dict[str, Any] = {}
    for _ in range(300):
        payload = {"data": payload}
    (violation,) = REPAIRER.repair("DataTransfer", payload, NOW).violations
    assert violation.code is ErrorCode.FORMATION_VIOLATION


def test_an_answer_is_repaired_as_a_call_is() -> None:
    keys = [{"key": "A", "value": None, "readonly": "True"}, {"key": "B", "value": 5}]
    repaired = REPAIRER.repair_response("GetConfiguration", {"configurationKey": keys}, NOW)
    assert repaired.payload["configurationKey"] == [
        {"key": "A", "readonly": True},
        {"key": "B", "value": "5", "readonly": False},
    ]
    assert repaired.violations == ()


def test_an_integer_of_any_size_may_stand_in_a_text() -> None:
    repaired = repair("StatusNotification", STATUS | {"info": [2**64]})
    assert repaired.payload["info"] == "[18446744073709551616]"


def test_every_rule_says_what_it_does_and_where_it_was_seen() -> None:
    rules = {rule for rules in RULES.values() for rule in rules}
    assert all(rule.__doc__ for rule in rules)
    assert len({rule.__name__ for rule in rules}) == len(rules)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def is_settled(action: str, repaired: Repaired) -> bool:
    errors = SCHEMAS.request(action).errors(repaired.payload)
    only_empty_lists = all(error.keyword == "minItems" for error in errors)
    return bool(repaired.violations) or (
        only_empty_lists and (not errors or "empty_list_kept" in repaired.rules)
    )


@given(st.sampled_from(sorted(CHARGE_POINT_ACTIONS)), JSON)
def test_no_json_makes_repair_raise(action: str, payload: Any) -> None:
    assert is_settled(action, repair(action, payload))


@pytest.mark.parametrize("action", sorted(CHARGE_POINT_ACTIONS | CENTRAL_SYSTEM_ACTIONS))
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_a_payload_of_the_schema_comes_back_as_it_is(action: str, data: st.DataObject) -> None:
    payload = data.draw(payloads(action))
    repaired = REPAIRER.repair(action, payload, NOW)
    assert repaired.payload is payload
    assert (repaired.rules, repaired.violations) == ((), ())


@pytest.mark.parametrize("action", sorted(CHARGE_POINT_ACTIONS))
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data(), junk=JSON)
def test_one_bad_member_never_makes_repair_raise(
    action: str, data: st.DataObject, junk: Any
) -> None:
    payload = data.draw(payloads(action))
    name = data.draw(st.sampled_from([*payload, "unknown"]))
    assert is_settled(action, repair(action, payload | {name: junk}))


MEMBER_NAMES = st.sampled_from(["value", "Value", "unit", "measurand", "phase", "context"])


@given(st.lists(JSON, max_size=3), st.dictionaries(MEMBER_NAMES, JSON))
def test_no_sample_makes_repair_raise_or_costs_a_good_one(
    junk: list[Any], sample: dict[str, Any]
) -> None:
    repaired = repair("MeterValues", meter_values(GOOD, *junk, sample))
    assert is_settled("MeterValues", repaired)
    assert repaired.violations == ()
    assert samples_of(repaired)[0] == GOOD


@pytest.mark.parametrize("name", ["unit", "phase"])
def test_a_word_beside_an_unreadable_measurand_does_no_harm(name: str) -> None:
    sample = {"value": "1", "measurand": [], name: "0"}
    assert samples_of(repair("MeterValues", meter_values(GOOD, sample))) == [GOOD]
