"""What holds for any payload, valid or not."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ocppj.actions import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS
from gateway.repair import Repaired
from tests.unit.gateway.payloads import payloads
from tests.unit.gateway.repair.repairing import (
    BOOT,
    GOOD,
    NOW,
    REPAIRER,
    SCHEMAS,
    START,
    STATUS,
    STOP,
    meter_values,
    repair,
    samples_of,
)


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
