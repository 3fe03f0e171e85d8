"""The texts of meter values as numbers."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from session_service.domain.meter_values import (
    MeterValue,
    SampleLayout,
    default_unit,
    kept_numbers,
    number,
    numbers,
    sample_layout,
)

REGISTER = "Energy.Active.Import.Register"


def layout(*formats: str) -> SampleLayout:
    return uniform(*((REGISTER, "Wh", kind) for kind in formats))


def uniform(*samples: tuple[str, str | None, str]) -> SampleLayout:
    """Return a layout of measurands, units as sent and formats."""
    count = len(samples)
    return sample_layout(
        measurands=[measurand for measurand, _, _ in samples],
        phases=[None] * count,
        sent_units=[unit for _, unit, _ in samples],
        contexts=["Sample.Periodic"] * count,
        locations=["Outlet"] * count,
        formats=[kind for _, _, kind in samples],
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("108114.10", "108114.10"),
        ("-0.5", "-0.5"),
        ("+7", "7"),
        ("007", "7"),
        (" 7 ", "7"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1.5E-3", "0.0015"),
        ("28.300000999999999999", "28.300000999999999999"),
        ("4296944685", "4296944685"),
        ("0e30", "0"),
    ],
)
def test_number_is_written_in_plain_digits(text: str, plain: str) -> None:
    found = number(text)
    assert found is not None
    assert (found, Decimal(found)) == (plain, Decimal(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "NaN",
        "Infinity",
        "-inf",
        "1,5",
        "1_000",
        "0x1F",
        "٣",
        "1e31",
        "1e-31",
        "1e999999999",
        "--1",
        "1 2",
        "9" * 32,
        "1\0",
        "null",
    ],
)
def test_what_is_no_number_is_text(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (("1", "-2.50", "0.0"), ("1", "-2.50", "0.0")),
        (("1", "2,5"), ("1", None)),
        (("1,2",), (None,)),
        (("1", "-0"), ("1", "0")),
        (("1\n",), ("1",)),
        (("1", ""), ("1", None)),
    ],
)
def test_values_are_numbers_one_by_one(
    values: tuple[str, ...], kept: tuple[str | None, ...]
) -> None:
    assert tuple(numbers(layout(*["Raw"] * len(values)), values)) == kept


def test_signed_values_are_never_numbers() -> None:
    assert list(numbers(layout("Raw", "SignedData"), ("1", "2"))) == ["1", None]


def test_unit_of_energy_is_watt_hours_by_default() -> None:
    assert default_unit("Energy.Reactive.Import.Register") == "Wh"
    assert default_unit("Frequency") is None


@pytest.mark.parametrize(
    ("measurand", "unit", "sent", "kept_unit", "kept"),
    [
        (REGISTER, "kWh", "3.5004", "Wh", "3500.4"),
        (REGISTER, "kWh", "3", "Wh", "3000"),
        (REGISTER, "kWh", "0.000", "Wh", "0"),
        (REGISTER, "kWh", "-0.0005", "Wh", "-0.5"),
        (REGISTER, "kWh", "9" * 30 + "." + "1" * 30, "Wh", "9" * 30 + "111." + "1" * 27),
        ("Energy.Reactive.Import.Interval", "kvarh", "1.25", "varh", "1250"),
        ("Power.Offered", "kW", "7.4", "W", "7400"),
        ("Power.Active.Import", "kVA", "7.4", "VA", "7400"),
        ("Power.Reactive.Export", "kvar", "7.4", "var", "7400"),
        ("Temperature", "K", "300", "Celsius", "26.85"),
        ("Temperature", "Fahrenheit", "212", "Celsius", "100.00"),
        ("Temperature", "Fahrenheit", "70.5", "Celsius", "21.389"),
        ("Temperature", "Celcius", "21.50", "Celsius", "21.50"),
        # What has nothing to do with the measurand, and what is no number, stays.
        ("Frequency", "kW", "50", "kW", "50"),
        ("Voltage", "K", "230", "K", "230"),
        ("Frequency", None, "50", None, "50"),
        (REGISTER, "Wh", "3.50", "Wh", "3.50"),
        (REGISTER, "kWh", "n/a", "Wh", None),
    ],
)
def test_values_are_kept_in_one_unit_without_losing_a_digit(
    measurand: str, unit: str | None, sent: str, kept_unit: str | None, kept: str | None
) -> None:
    found = uniform((measurand, unit, "Raw"))
    assert found.units == (kept_unit,)
    assert found.raw_units == (unit if unit != kept_unit else None,)
    assert list(kept_numbers(MeterValue(datetime.now(UTC), found, (sent,)))) == [kept]


def test_signed_values_keep_their_unit() -> None:
    found = uniform((REGISTER, "kWh", "SignedData"))
    assert (found.units, found.raw_units) == (("kWh",), (None,))


def test_layout_without_foreign_units_costs_no_conversion() -> None:
    found = uniform((REGISTER, "Wh", "Raw"), ("Power.Active.Import", "W", "Raw"))
    values = ("1", "2")
    assert kept_numbers(MeterValue(datetime.now(UTC), found, values)) is values
