"""What the meter values of a session say together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from session_service.domain.meter_values import MeterValue
from session_service.domain.registers import (
    first_register,
    power_w,
    read_registers,
    registers,
    state_of_charge,
)
from session_service.domain.sessions import Session


@dataclass(frozen=True)
class MeterSummary:
    """The meter values of a session, summed up: evidence beside its registers.

    Attributes:
        metered_energy_wh: What the registers show; None: they show nothing.
        peak_power_w: The highest power that was measured; None: none was.
        first_state_of_charge: In percent; None: the vehicle told none.
    """

    meter_value_count: int
    metered_energy_wh: Decimal | None
    peak_power_w: Decimal | None
    first_state_of_charge: Decimal | None
    last_state_of_charge: Decimal | None
    first_sample_time: datetime | None
    last_sample_time: datetime | None


def summary(values: Sequence[MeterValue], session: Session) -> MeterSummary:
    """Sum up the meter values of a session, which come in the order of time.

    Where the start told no register, the first one that was read counts.
    """
    powers = [power for it in values if (power := power_w(it)) is not None]
    states = [state for it in values if (state := state_of_charge(it)) is not None]
    series = registers(values)
    begin = first_register(series) if session.meter_start is None else session.meter_start
    read = read_registers(series, begin or 0, session.start_time)
    return MeterSummary(
        meter_value_count=len(values),
        metered_energy_wh=None if read.latest_wh is None else read.rise_wh,
        peak_power_w=max(powers, default=None),
        first_state_of_charge=states[0] if states else None,
        last_state_of_charge=states[-1] if states else None,
        first_sample_time=values[0].sample_time if values else None,
        last_sample_time=values[-1].sample_time if values else None,
    )
