from typing import Any

import pytest

from tests.unit.gateway.repair.repairing import (
    GOOD,
    NOW_TEXT,
    STOP,
    T,
    meter_values,
    repair,
    samples_of,
)


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


@pytest.mark.parametrize("name", ["unit", "phase"])
def test_a_word_beside_an_unreadable_measurand_does_no_harm(name: str) -> None:
    sample = {"value": "1", "measurand": [], name: "0"}
    assert samples_of(repair("MeterValues", meter_values(GOOD, sample))) == [GOOD]
