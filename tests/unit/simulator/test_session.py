from typing import Any

import pytest

from simulator.session import LINGER_S, Meter, Outlet, Session, idle_reading, sampled_values
from simulator.vehicle import Vehicle

AC = Outlet(max_power_w=11_000)
DC = Outlet(max_power_w=60_000, dc=True)


def a_session(outlet: Outlet = AC, *, stored: float = 0.5, stay_s: float = 7200) -> Session:
    vehicle = Vehicle(capacity_wh=40_000, energy_wh=40_000 * stored, max_power_w=60_000)
    return Session(vehicle, outlet, Meter(1_000.7), stay_s)


def of(samples: list[dict[str, Any]], measurand: str) -> list[dict[str, Any]]:
    return [sample for sample in samples if sample["measurand"] == measurand]


def test_the_register_goes_on_where_the_last_car_left_it() -> None:
    session = a_session()
    session.advance(3600)
    assert session.meter_start_wh == 1_000
    assert session.read().register_wh == 12_000


def test_currents_times_voltage_is_the_power() -> None:
    reading = a_session().read()
    assert len(reading.currents_a) == 3
    assert sum(reading.currents_a) * reading.voltage_v == pytest.approx(reading.power_w)


def test_a_full_vehicle_suspends_and_its_driver_comes_soon() -> None:
    session = a_session(stored=1.0, stay_s=100_000)
    assert session.suspended
    session.advance(1)
    assert not session.over
    session.advance(LINGER_S)
    assert session.over


def test_the_session_is_over_when_the_driver_comes_back_early() -> None:
    session = a_session(stay_s=60)
    session.advance(61)
    assert session.over
    assert not session.suspended


def test_alternating_current_is_sampled_by_phase_and_hides_the_state_of_charge() -> None:
    samples = sampled_values(a_session().read(), "Sample.Periodic")
    assert [sample["phase"] for sample in of(samples, "Current.Import")] == ["L1", "L2", "L3"]
    assert [sample["phase"] for sample in of(samples, "Voltage")] == ["L1-N", "L2-N", "L3-N"]
    assert of(samples, "SoC") == []


def test_direct_current_is_sampled_without_phases_and_with_the_state_of_charge() -> None:
    samples = sampled_values(a_session(DC).read(), "Sample.Periodic")
    assert "phase" not in of(samples, "Current.Import")[0]
    assert of(samples, "SoC")[0]["value"] == "50"


def test_an_idle_connector_measures_its_register() -> None:
    samples = sampled_values(idle_reading(Meter(5_000)), "Trigger")
    assert of(samples, "Energy.Active.Import.Register")[0]["value"] == "5000"
    assert {sample["context"] for sample in samples} == {"Trigger"}
