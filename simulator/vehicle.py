"""An electric vehicle: a battery that takes less and less power once it is nearly full."""

from dataclasses import dataclass

TAPER_FROM = 0.8
"""State of charge from which the battery takes less than full power."""

TAPER_FLOOR = 0.08
"""Share of full power that a battery still takes just before it is full."""

_STEP_S = 10.0


@dataclass(kw_only=True)
class Vehicle:
    """A vehicle at the end of a charging cable.

    Attributes:
        capacity_wh: Energy that the full battery holds.
        energy_wh: Energy that it holds now.
        max_power_w: Most power that the vehicle draws.
        target: Share of the capacity at which the vehicle stops charging, up to 1.
        phases: Phases that its AC charger uses, 1 or 3.
    """

    capacity_wh: float
    energy_wh: float
    max_power_w: float
    target: float = 1.0
    phases: int = 3

    @property
    def state_of_charge(self) -> float:
        """How full the battery is, from 0 to 1."""
        return self.energy_wh / self.capacity_wh

    @property
    def satisfied(self) -> bool:
        """Whether the vehicle has what it wants and draws nothing more."""
        return self._wanted_wh() < 1

    def power_w(self, offered_w: float) -> float:
        """Return the power that the vehicle draws when this much is offered."""
        if self.satisfied:
            return 0.0
        return min(offered_w, self.max_power_w * self._acceptance())

    def charge(self, offered_w: float, seconds: float) -> float:
        """Charge for a time and return the energy taken, in Wh."""
        before, left = self.energy_wh, seconds
        while left > 0 and not self.satisfied:
            step = min(left, _STEP_S)
            taken_wh = self.power_w(offered_w) * step / 3600
            self.energy_wh += min(taken_wh, self._wanted_wh())
            left -= step
        return self.energy_wh - before

    def _wanted_wh(self) -> float:
        return self.capacity_wh * self.target - self.energy_wh

    def _acceptance(self) -> float:
        if self.state_of_charge <= TAPER_FROM:
            return 1.0
        return max(TAPER_FLOOR, (1 - self.state_of_charge) / (1 - TAPER_FROM))
