"""The texts of meter values as numbers."""

from decimal import Decimal

import pytest

from session_service.domain.meter_values import (
    SampleLayout,
    default_unit,
    number,
    numbers,
    register_wh,
)


def layout(*formats: str) -> SampleLayout:
    words = ("x",) * len(formats)
    return SampleLayout(words, (None,) * len(formats), words, words, words, formats)


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


def test_registers_are_compared_in_watt_hours() -> None:
    assert register_wh(Decimal("3.5004"), "kWh") == Decimal("3500.4")
    assert register_wh(Decimal("3.5"), "Wh") == Decimal("3.5")
