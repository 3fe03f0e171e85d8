import pytest

from simulator.vehicle import TAPER_FLOOR, Vehicle


def a_vehicle(state_of_charge: float = 0.2, *, target: float = 1.0) -> Vehicle:
    return Vehicle(
        capacity_wh=50_000,
        energy_wh=50_000 * state_of_charge,
        max_power_w=100_000,
        target=target,
    )


def test_an_hour_at_constant_power_gives_that_power_times_an_hour() -> None:
    assert a_vehicle().charge(11_000, 3600) == pytest.approx(11_000)


def test_the_vehicle_limits_what_it_draws() -> None:
    assert a_vehicle().power_w(350_000) == 100_000


def test_power_falls_steadily_above_the_taper() -> None:
    powers = [a_vehicle(percent / 100).power_w(350_000) for percent in range(80, 100)]
    assert powers == sorted(powers, reverse=True)
    assert powers[0] > 4 * powers[-1]


def test_a_nearly_full_battery_still_takes_a_little() -> None:
    assert a_vehicle(0.999).power_w(350_000) == pytest.approx(100_000 * TAPER_FLOOR)


def test_charging_ends_at_the_target_and_not_above() -> None:
    vehicle = a_vehicle(target=0.8)
    vehicle.charge(100_000, 24 * 3600)
    assert vehicle.satisfied
    assert vehicle.power_w(100_000) == 0
    assert vehicle.state_of_charge == pytest.approx(0.8, abs=0.001)
    assert vehicle.charge(100_000, 3600) == 0


def test_many_short_times_give_what_one_long_time_gives() -> None:
    short, long = a_vehicle(), a_vehicle()
    in_pieces = sum(short.charge(60_000, 10) for _ in range(300))
    assert in_pieces == pytest.approx(long.charge(60_000, 3000))
