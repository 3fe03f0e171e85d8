"""What is believed of a series of energy registers, and what a meter value says."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_service.domain.flags import Flag
from session_service.domain.meter_values import MeterValue, sample_layout
from session_service.domain.registers import (
    RegisterReading,
    power_w,
    read_registers,
    registers,
    state_of_charge,
)

T0 = datetime(2026, 3, 1, tzinfo=UTC)
REGISTER = "Energy.Active.Import.Register"
POWER = "Power.Active.Import"


def read(values: list[int], start: int = 0) -> RegisterReading:
    series = [(T0 + timedelta(minutes=at), Decimal(value)) for at, value in enumerate(values)]
    return read_registers(series, start, T0)


@pytest.mark.parametrize(
    ("start", "values", "latest", "rise", "doubts"),
    [
        (1000, [], None, 0, set()),
        (1000, [1000], 1000, 0, set()),
        (1000, [1500, 1500, 2500], 2500, 1500, set()),
        # Dips: back to the level of before.
        (100_000, [101_000, 0, 102_000], 102_000, 2000, {"METER_DIP"}),
        (100_000, [101_000, 0, 0, 0, 0, 0, 102_000], 102_000, 2000, {"METER_DIP"}),
        (100_000, [101_000, 0, 1, 2, 102_000], 102_000, 2000, {"METER_DIP"}),
        (100_000, [101_000, 0], 101_000, 1000, {"METER_DIP"}),
        (100_000, [0], None, 0, {"METER_DIP"}),
        (100_000, [0, 0, 0], None, 0, {"METER_DIP"}),
        (100_000, [101_000, 100_990], 100_990, 990, {"METER_SPIKE"}),
        # Spikes.
        (1000, [1500, 900_000, 2000, 2500], 2500, 1500, {"METER_SPIKE"}),
        (1000, [1500, 900_000, 900_001, 2000, 2500, 3000], 3000, 2000, {"METER_SPIKE"}),
        (1000, [1500, 4_296_944_685], 1500, 500, {"METER_SPIKE"}),
        (1000, [1500, 900_000, 0, 2000, 2500], 2500, 1500, {"METER_SPIKE", "METER_DIP"}),
        (1000, [4_296_944_685], None, 0, {"METER_SPIKE"}),
        # More than a charge point can deliver, though nothing comes back from it.
        (1000, [1100, 1200, 99_999_999], 1200, 200, {"METER_SPIKE"}),
        (0, [999_999, 1_000_000], 1_000_000, 1_000_000, set()),
        (0, [1_000_001], None, 0, {"METER_SPIKE"}),
        # Resets: on from the new level.
        (100_000, [101_000, 102_000, 0, 10, 20], 20, 2020, {"METER_RESET"}),
        (100_000, [101_000, 0, 10, 20, 30, 40, 50], 50, 1050, {"METER_RESET"}),
        (100_000, [0, 10, 20], 20, 20, {"METER_RESET"}),
        (5000, [6000, 0, 2500, 4900, 7000], 7000, 8000, {"METER_RESET"}),
        (900_000, [901_000, 0, 30, 0, 20, 40], 40, 1040, {"METER_RESET", "METER_SPIKE"}),
        (5_000_000, [5_001_000, 3_000_000, 3_002_000], 3_002_000, 3000, {"METER_RESET"}),
        # kWh that are called Wh.
        (1_000_000, [1000, 1001, 1002], None, 0, {"METER_UNIT_DOUBTFUL"}),
        (1_000_900, [1000, 1001], None, 0, {"METER_UNIT_DOUBTFUL"}),
        (1_000_000, [1000, 0, 1002], None, 0, {"METER_UNIT_DOUBTFUL"}),
        # Not so once Wh were shown, or when they climb from 0.
        (1_000_000, [1_001_000, 1002, 1_003_000], 1_003_000, 3000, {"METER_DIP"}),
        (5_000_000, [5_001_000, 0, 2000, 4000, 5500], 5500, 6500, {"METER_RESET"}),
        (5_000_000, [0, 5001, 5500], 5500, 5500, {"METER_RESET"}),
        (1000, [1100, 1200, 0, 100, 200], 200, 400, {"METER_RESET"}),
        (1000, [100, 200], 200, 100, {"METER_RESET"}),
        (1000, [900, 900], None, 0, {"METER_DIP"}),
    ],
)
def test_registers_are_believed_as_far_as_they_rise(
    start: int, values: list[int], latest: int | None, rise: int, doubts: set[str]
) -> None:
    assert read(values, start) == RegisterReading(
        None if latest is None else Decimal(latest), Decimal(rise), frozenset(map(Flag, doubts))
    )


RISING = st.lists(st.integers(0, 50_000), min_size=3, max_size=40).map(
    lambda steps: [2_000_000 + sum(steps[: at + 1]) for at in range(len(steps))]
)


@given(RISING)
def test_what_rises_is_believed(values: list[int]) -> None:
    assert read(values, 2_000_000) == RegisterReading(
        Decimal(values[-1]), Decimal(values[-1] - 2_000_000), frozenset()
    )


@given(RISING, st.data())
def test_one_odd_register_changes_no_energy(values: list[int], data: st.DataObject) -> None:
    odd = data.draw(st.sampled_from([0, 2**33, 90_000_000]))
    at = data.draw(st.integers(0, len(values) - 2))
    found = read([*values[:at], odd, *values[at:]], 2_000_000)
    assert found.latest_wh == values[-1]
    assert found.rise_wh == values[-1] - 2_000_000
    assert found.doubts == {"METER_SPIKE" if odd else "METER_DIP"}


@given(st.lists(st.integers(0, 2**34), max_size=60), st.integers(0, 2**33))
def test_any_series_is_judged_and_energy_is_never_negative(values: list[int], start: int) -> None:
    found = read(values, start)
    assert found.rise_wh >= 0
    assert found.latest_wh is None or int(found.latest_wh) in values


def meter_value(*samples: dict[str, str]) -> MeterValue:
    return MeterValue(
        T0,
        sample_layout(
            measurands=[sample.get("measurand", REGISTER) for sample in samples],
            phases=[sample.get("phase") for sample in samples],
            sent_units=[sample.get("unit", "Wh") for sample in samples],
            contexts=[sample.get("context", "Sample.Periodic") for sample in samples],
            locations=[sample.get("location", "Outlet") for sample in samples],
            formats=[sample.get("format", "Raw") for sample in samples],
        ),
        tuple(sample["value"] for sample in samples),
    )


BEGIN = {"value": "1000", "context": "Transaction.Begin"}


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ([{"value": "1500.5"}], "1500.5"),
        ([{"value": "1.5005", "unit": "kWh"}], "1500.5"),
        ([BEGIN, {"value": "1500"}], "1500"),
        ([BEGIN], "1000"),
        ([BEGIN, {"value": "7", "phase": "L1"}], "7"),
        ([{"value": "7", "phase": "L1"}, {"value": "1500"}], "1500"),
        ([{"value": "1", "phase": "L1"}, {"value": "2", "phase": "L2"}], "3"),
        ([{"value": "1", "phase": "L1"}, {"value": "9", "phase": "L1-N"}], "1"),
        ([{"value": "1", "phase": "L1-L2"}], None),
        ([BEGIN, {"value": "1", "phase": "N"}], "1000"),
        ([{"value": "1500", "location": "Inlet"}], None),
        ([{"value": "AF12", "format": "SignedData"}], None),
        ([{"value": ""}, {"value": "3"}], "3"),
        ([{"value": "1500", "unit": "A"}], None),
        ([{"value": "1500", "measurand": "Voltage", "unit": "V"}], None),
    ],
)
def test_energy_register_of_a_meter_value(samples: list[dict[str, str]], found: str | None) -> None:
    told = [wh for _, wh in registers([meter_value(*samples)])]
    assert told == ([Decimal(found)] if found else [])


def test_much_energy_is_believed_as_far_as_there_was_time_for_it() -> None:
    week = timedelta(days=7)
    series = [(T0 + week, Decimal(3_000_000)), (T0 + week, Decimal(900_000_000))]
    assert read_registers(series, 0, T0) == RegisterReading(
        Decimal(3_000_000), Decimal(3_000_000), frozenset({Flag.METER_SPIKE})
    )


def test_registers_are_judged_whatever_clocks_say() -> None:
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for first, last in ((begin, end), (end, begin)):
        assert read_registers([(last, Decimal(1))], 0, first).rise_wh == 1


def test_power_is_the_total_or_the_sum_of_phases_in_watts() -> None:
    kilowatts = {"measurand": POWER, "unit": "kW"}
    phases = [{**kilowatts, "value": "3.7", "phase": phase} for phase in ("L1", "L2", "L3")]
    assert power_w(meter_value(*phases)) == Decimal(11100)
    assert power_w(meter_value(*phases, {**kilowatts, "value": "11"})) == Decimal(11000)
    assert power_w(meter_value({"value": "1"})) is None


@pytest.mark.parametrize(
    ("value", "unit", "found"),
    [
        ("80.5", "Percent", "80.5"),
        ("0", "Percent", None),
        ("101", "Percent", None),
        ("-1", "Percent", None),
        ("full", "Percent", None),
        ("80", "kW", None),
    ],
)
def test_state_of_charge_is_a_percentage_and_zero_is_unknown(
    value: str, unit: str, found: str | None
) -> None:
    sample = {"value": value, "measurand": "SoC", "unit": unit, "location": "EV"}
    assert state_of_charge(meter_value(sample)) == (Decimal(found) if found else None)
