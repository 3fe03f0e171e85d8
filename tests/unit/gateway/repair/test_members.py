from typing import Any

import pytest

from gateway.repair.rules import RULES
from tests.unit.gateway.repair.repairing import (
    BOOT,
    GOOD,
    NOW,
    REPAIRER,
    START,
    STATUS,
    STOP,
    T,
    meter_values,
    repair,
)

UNREADABLE = ("abc", "", "NaN", "1e999", True, [5], {"value": 5}, 2**63, -(2**63) - 1)
NO_REGISTER = STOP | {"meterStop": 0}

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
