"""The rules about charge points, without any I/O."""

from datetime import UTC, datetime, timedelta

import pytest

from device_service.domain import (
    Connector,
    State,
    UnknownChargePoints,
    action,
    charge_point_id,
    connector_id,
    display_name,
    escaped,
    heartbeat_interval,
    said,
    vendor_error_code,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_connector(status_time: datetime | None, receive_time: datetime = NOW) -> Connector:
    return Connector("CP-1", 1, "Available", "NoError", receive_time, status_time=status_time)


@pytest.mark.parametrize("value", ["A", "cp 1", "x" * 48, "CP-1", "~!@#$%", "--"])
def test_printable_identity_is_kept_byte_for_byte(value: str) -> None:
    assert charge_point_id(value) == value


@pytest.mark.parametrize("value", ["", "x" * 49, "a/b", "é", "a\n", "\0", "-", "\x7f"])
def test_malformed_identity_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="1 to 48 printable ASCII"):
        charge_point_id(value)


@pytest.mark.parametrize("seconds", [10, 86_400])
def test_heartbeat_interval_may_reach_its_limits(seconds: int) -> None:
    assert heartbeat_interval(timedelta(seconds=seconds)) == timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [0, 9, 86_401, 10.5, -60])
def test_heartbeat_interval_beyond_its_limits_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        heartbeat_interval(timedelta(seconds=seconds))


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("12", 12), ("2147483647", 2**31 - 1)])
def test_connector_number_is_read(value: str, number: int) -> None:
    assert connector_id(value) == number


@pytest.mark.parametrize("value", ["", "-1", "01", "1.0", "2147483648", "99999999999", "٣"])
def test_what_is_no_connector_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="number of a connector"):
        connector_id(value)


def test_action_has_only_letters() -> None:
    assert action("DataTransfer") == "DataTransfer"
    with pytest.raises(ValueError, match="OCPP action"):
        action("Data Transfer\0")


def test_long_display_name_is_refused() -> None:
    assert display_name("é" * 200) == "é" * 200
    with pytest.raises(ValueError, match="200 printable"):
        display_name("é" * 201)
    with pytest.raises(ValueError, match="200 printable"):
        display_name("a\0b")


@pytest.mark.parametrize("value", ["", " ", "null", "None", "NONE", "none "])
def test_placeholder_says_nothing(value: str) -> None:
    assert said(value) == ""


def test_text_is_said_as_it_stands() -> None:
    assert said("Modbus lost, no null") == "Modbus lost, no null"


@pytest.mark.parametrize("value", ["0x0000", "0X00", "0", "0000", "none", "null", ""])
def test_vendor_error_code_without_an_error_says_nothing(value: str) -> None:
    assert vendor_error_code(value, "NoError") == ""


@pytest.mark.parametrize(
    ("value", "error_code"), [("0x0000", "OtherError"), ("0x0010", "NoError"), ("210", "NoError")]
)
def test_vendor_error_code_that_says_something_is_kept(value: str, error_code: str) -> None:
    assert vendor_error_code(value, error_code) == value


def test_stranger_text_becomes_printable_and_short() -> None:
    assert escaped("a\0é\n", 100) == "a\\x00\\xe9\\n"
    assert len(escaped("\0" * 500, 100)) == 100


def test_reported_time_puts_reports_in_order() -> None:
    hour_ago = NOW - timedelta(hours=1)
    earlier, later = a_connector(hour_ago), a_connector(NOW)
    assert earlier.is_older_than(later)
    assert not later.is_older_than(earlier)
    assert not earlier.is_older_than(earlier)


@pytest.mark.parametrize(
    "lie",
    [
        None,
        NOW + timedelta(days=400),
        NOW + timedelta(hours=1),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
    ],
)
def test_clock_that_lies_puts_nothing_in_order(lie: datetime | None) -> None:
    honest = a_connector(NOW)
    assert not a_connector(lie).is_older_than(honest)
    assert not honest.is_older_than(a_connector(lie))


def test_only_two_policies_register_unknown_charge_points() -> None:
    assert [policy.state for policy in UnknownChargePoints] == [
        None,
        State.PENDING,
        State.ACCEPTED,
    ]
