"""What happens between plugging in and driving off, without clock or network."""

from dataclasses import dataclass
from typing import Any

from simulator.vehicle import Vehicle

AC_VOLTAGE = 230.0
LINGER_S = 400.0
"""How long a driver leaves a vehicle that has stopped charging, in the session's seconds."""


@dataclass(frozen=True, kw_only=True)
class Outlet:
    """What a connector can give.

    Attributes:
        max_power_w: Most power that it offers.
        dc: Whether it feeds the battery directly; then it knows the state of charge.
    """

    max_power_w: float
    dc: bool = False


@dataclass
class Meter:
    """The energy register of a connector: it only ever grows."""

    register_wh: float

    @property
    def reading_wh(self) -> int:
        """The register as it is reported, in whole Wh."""
        return int(self.register_wh)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a connector measures at one moment; currents are one for each phase in use."""

    register_wh: int
    power_w: float
    voltage_v: float
    currents_a: tuple[float, ...]
    state_of_charge: float | None


class Session:
    """A vehicle at a connector.

    Args:
        vehicle: The vehicle; charging changes it.
        outlet: What the connector gives.
        meter: The connector's meter; charging moves it on.
        stay_s: After how many of the session's seconds the driver comes back.

    Attributes:
        limit_w: Power that the connector offers at most; None is all that the outlet has.
    """

    def __init__(self, vehicle: Vehicle, outlet: Outlet, meter: Meter, stay_s: float) -> None:
        self._vehicle, self._outlet, self._meter = vehicle, outlet, meter
        self._stay_s = stay_s
        self.limit_w: float | None = None
        self.meter_start_wh = meter.reading_wh

    @property
    def suspended(self) -> bool:
        """Whether the vehicle has stopped charging by itself (SuspendedEV)."""
        return self._vehicle.satisfied

    @property
    def held_back(self) -> bool:
        """Whether the connector offers nothing (SuspendedEVSE)."""
        return self.limit_w == 0

    @property
    def over(self) -> bool:
        """Whether the driver is back and wants to leave."""
        return self._stay_s <= 0

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self._meter.register_wh += self._vehicle.charge(self._offered_w(), seconds)
        self._stay_s -= seconds
        if self.suspended:
            self._stay_s = min(self._stay_s, LINGER_S)

    def read(self) -> Reading:
        """Return what the connector measures now."""
        power_w = self._vehicle.power_w(self._offered_w())
        phases = 1 if self._outlet.dc else self._vehicle.phases
        voltage_v = self._voltage_v(power_w)
        return Reading(
            register_wh=self._meter.reading_wh,
            power_w=power_w,
            voltage_v=voltage_v,
            currents_a=(power_w / voltage_v / phases,) * phases,
            state_of_charge=self._vehicle.state_of_charge if self._outlet.dc else None,
        )

    def _offered_w(self) -> float:
        most_w = self._outlet.max_power_w
        return most_w if self.limit_w is None else min(most_w, self.limit_w)

    def _voltage_v(self, power_w: float) -> float:
        if self._outlet.dc:
            return 350 + 60 * self._vehicle.state_of_charge
        return AC_VOLTAGE - 2 * power_w / self._outlet.max_power_w


def idle_reading(meter: Meter) -> Reading:
    """Return what a connector measures when no vehicle is there."""
    return Reading(
        register_wh=meter.reading_wh,
        power_w=0,
        voltage_v=AC_VOLTAGE,
        currents_a=(0.0,),
        state_of_charge=None,
    )


def sampled_values(reading: Reading, context: str) -> list[dict[str, Any]]:
    """Return a reading as the sampledValue list of a MeterValue (OCPP 1.6 7.43).

    Args:
        reading: What was measured.
        context: Why, as a ReadingContext: Sample.Periodic, Trigger and so on.
    """
    samples = [
        _sample(f"{reading.register_wh}", "Energy.Active.Import.Register", "Wh"),
        _sample(f"{reading.power_w:.0f}", "Power.Active.Import", "W"),
        *_phase_samples(reading),
    ]
    if reading.state_of_charge is not None:
        percent = f"{100 * reading.state_of_charge:.0f}"
        samples.append(_sample(percent, "SoC", "Percent") | {"location": "EV"})
    return [sample | {"context": context} for sample in samples]


def _phase_samples(reading: Reading) -> list[dict[str, Any]]:
    samples = []
    for number, current_a in enumerate(reading.currents_a, 1):
        dc = reading.state_of_charge is not None
        of_current = {} if dc else {"phase": f"L{number}"}
        of_voltage = {} if dc else {"phase": f"L{number}-N"}
        samples.append(_sample(f"{current_a:.1f}", "Current.Import", "A") | of_current)
        samples.append(_sample(f"{reading.voltage_v:.1f}", "Voltage", "V") | of_voltage)
    return samples


def _sample(value: str, measurand: str, unit: str) -> dict[str, Any]:
    return {"value": value, "measurand": measurand, "unit": unit}
