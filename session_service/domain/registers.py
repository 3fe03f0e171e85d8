"""What meter values say about energy, power and the state of charge, and what is to be believed.

Registers only rise. What a charge point shows does not always: it dips to zero for a while, jumps
to a value that no meter can have, begins again from zero, or calls kWh Wh.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate

from session_service.domain.flags import Flag
from session_service.domain.meter_values import (
    ENERGY_REGISTER,
    TRANSACTION_BEGIN,
    MeterValue,
    kept_numbers,
)

MOST_WH = 2**63 - 1
"""The most that is kept of a register; OCPP knows no limit."""
CLOCK_ERROR = timedelta(hours=1)
"""What is dated so long before its session has been dated by a wrong clock."""
POWER = "Power.Active.Import"
STATE_OF_CHARGE = "SoC"


@dataclass(frozen=True)
class RegisterReading:
    """What a series of registers says.

    Attributes:
        latest_wh: The last register that is believed; None: there is none.
        rise_wh: How much energy flowed since the start; what flowed while the register was being
            reset is not in it.
        doubts: What is odd about the series.
    """

    latest_wh: Decimal | None
    rise_wh: Decimal
    doubts: frozenset[Flag]


@dataclass(frozen=True)
class Reading:
    """How far a session's register had come when it was read last.

    Attributes:
        time: By the clock of the charge point.
        register_wh: As if the register had never been reset.
    """

    time: datetime
    register_wh: Decimal


Series = Sequence[tuple[datetime, Decimal]]
"""Times and registers in Wh, in the order of time."""


def power_w(meter_value: MeterValue) -> Decimal | None:
    """Return the power that the vehicle takes at the outlet in W; None when it is not told."""
    return _total(_outlet(meter_value, POWER, "W"))


def state_of_charge(meter_value: MeterValue) -> Decimal | None:
    """Return the state of charge in percent; None when it is not told.

    0 counts as not told: it is what AC charge points say, which do not know it.
    """
    layout, numbers = meter_value.layout, kept_numbers(meter_value)
    for measurand, unit, number in zip(layout.measurands, layout.units, numbers, strict=True):
        if measurand != STATE_OF_CHARGE or unit not in {"Percent", None} or number is None:
            continue
        if 0 < Decimal(number) <= _PERCENT:
            return Decimal(number)
    return None


def registers(values: Iterable[MeterValue]) -> Series:
    """Return the energy registers that meter values show, which come in the order of time.

    Phases are added up only where no meter value tells a total: some tell a phase now and then.
    """
    shown = [(it.sample_time, _outlet(it, ENERGY_REGISTER, "Wh")) for it in values]
    totals = [(time, by_phase[_TOTAL]) for time, by_phase in shown if _TOTAL in by_phase]
    return totals or [(time, wh) for time, it in shown if (wh := _total(it)) is not None]


def first_register(series: Series) -> int | None:
    """Return the first register of a series in whole Wh that can be one; None: there is none."""
    for _, register_wh in series:
        if abs(register_wh) <= MOST_WH:
            return int(register_wh.to_integral_value(ROUND_HALF_UP))
    return None


def read_registers(series: Series, meter_start: int | Decimal, begin: datetime) -> RegisterReading:
    """Judge a series of registers.

    Args:
        series: What was read.
        meter_start: The register in Wh with which the session began.
        begin: When it began.
    """
    start, doubts = Decimal(meter_start), set[Flag]()
    values = [value for time, value in series if _can_be(value, start, time - begin)]
    if len(values) < len(series):
        doubts.add(Flag.METER_SPIKE)
    if _are_kilowatt_hours(values, start):
        doubts.add(Flag.METER_UNIT_DOUBTFUL)
        values = []
    segments = _segments(_without_dips([start, *values], doubts), doubts)
    rise = sum((segment[-1] - segment[0] for segment in segments), Decimal(0))
    is_told = len(segments) > 1 or len(segments[0]) > 1
    return RegisterReading(segments[-1][-1] if is_told else None, rise, frozenset(doubts))


def last_reading(series: Series, read: RegisterReading, meter_start: int) -> Reading | None:
    """Return the last reading of a series that was judged; None when none is believed."""
    if read.latest_wh is None:
        return None
    return Reading(series[-1][0], meter_start + read.rise_wh)


def is_beyond_reason(rise_wh: Decimal | int, elapsed: timedelta) -> bool:
    """Tell whether no charge point can have delivered so much in this time.

    Clocks lie, so what is not much is never too much.
    """
    return rise_wh > max(_MOST_WH, _MOST_W * (elapsed / _HOUR))


def rises_plainly(lowest: Decimal, highest: Decimal, meter_start: int) -> bool:
    """Tell whether all registers between two are believed, provided that they never fell."""
    start = Decimal(meter_start)
    return start <= lowest and highest - start <= _MOST_WH and not _is_overflow(highest, start)


def highest(*registers_wh: Decimal | int | None) -> int | None:
    """Return the highest register in whole Wh of those that are known."""
    known = [Decimal(register) for register in registers_wh if register is not None]
    return min(MOST_WH, int(max(known).to_integral_value(ROUND_HALF_UP))) if known else None


def is_below(register_wh: int | None, other_wh: Decimal | int | None) -> bool:
    """Tell whether one register is lower than another, as far as both are known."""
    return register_wh is not None and other_wh is not None and register_wh < other_wh


def _without_dips(values: Sequence[Decimal], doubts: set[Flag]) -> list[Decimal]:
    """Leave out what fell and came back in one step, however long it stayed away."""
    kept: list[Decimal] = []
    highest_from = list(accumulate(reversed(values), max))[::-1]
    at = 0
    while at < len(values):
        comes_back = kept and values[at] < kept[-1] <= highest_from[at]
        back = _end_of_dip(kept, values, at) if comes_back else None
        if back is None:
            kept.append(values[at])
            at += 1
        else:
            doubts.add(Flag.METER_DIP)
            at = back
    return kept


def _end_of_dip(kept: Sequence[Decimal], values: Sequence[Decimal], at: int) -> int | None:
    """Return where the register is back at the level from which it fell; None: it is no dip."""
    level = kept[-1]
    if len(kept) > 1 and values[at] >= kept[-2]:  # the level is what does not fit
        return None
    back = next(index for index in range(at, len(values)) if values[index] >= level)
    lower = values[at:back]
    return back if 2 * (values[back] - max(lower)) >= level - min(lower) else None


def _segments(values: Sequence[Decimal], doubts: set[Flag]) -> list[list[Decimal]]:
    """Return the registers that are believed, from one reset to the next."""
    believed: list[list[Decimal]] = []
    waiting = [values]
    while waiting:
        part = waiting.pop()
        chain = _longest_rise(part)
        split = _reset(part, chain)
        if split is not None:
            doubts.add(Flag.METER_RESET)
            waiting += [part[split:], part[:split]]
        elif chain[0] > 0:  # what came later fell and did not rise: the begin is believed
            doubts.add(Flag.METER_DIP)
            waiting.append(part[: chain[0]])
        else:
            doubts.update(_oddities(part, chain))
            believed.append([part[index] for index in chain])
    return believed


def _reset(values: Sequence[Decimal], chain: Sequence[int]) -> int | None:
    """Return where the register begins anew: at what does not fit and yet rises by itself."""
    if chain[0] > 0 and _goes_on([values[index] for index in chain], values[chain[0] - 1]):
        return chain[0]
    for last, following in zip(chain, [*chain[1:], len(values)], strict=True):
        low = [index for index in range(last + 1, following) if values[index] < values[last]]
        if _goes_on([values[index] for index in low], values[last]):
            return low[0]
    return None


def _goes_on(values: Sequence[Decimal], level: Decimal) -> bool:
    """Tell whether registers that are lower than a level rise from far below it."""
    if len(values) < 2 or not (level - values[0] >= _NOTABLE_WH or 2 * values[0] <= level):
        return False
    chain = _longest_rise(values)
    return values[chain[-1]] > values[chain[0]]


def _oddities(values: Sequence[Decimal], chain: Sequence[int]) -> Iterable[Flag]:
    for last, following in zip(chain, [*chain[1:], len(values)], strict=True):
        for value in values[last + 1 : following]:
            yield Flag.METER_DIP if value < values[last] else Flag.METER_SPIKE


def _longest_rise(values: Sequence[Decimal]) -> list[int]:
    """Return where the longest subsequence that never falls is; among equals, the lowest."""
    tails: list[Decimal] = []  # by length: the lowest last value of a subsequence that long
    ends: list[int] = []
    before: list[int | None] = []
    for index, value in enumerate(values):
        length = bisect_right(tails, value)
        before.append(ends[length - 1] if length else None)
        tails[length : length + 1] = [value]
        ends[length : length + 1] = [index]
    chain = []
    at: int | None = ends[-1]
    while at is not None:
        chain.append(at)
        at = before[at]
    return chain[::-1]


def _is_overflow(value: Decimal, start: Decimal) -> bool:
    """Tell whether a register has left the bits that it is counted in: 32, if it began in them."""
    return abs(value) > (_32_BITS if abs(start) <= _32_BITS else MOST_WH)


def _can_be(value: Decimal, start: Decimal, elapsed: timedelta) -> bool:
    return not _is_overflow(value, start) and not is_beyond_reason(value - start, elapsed)


def _are_kilowatt_hours(values: Sequence[Decimal], start: Decimal) -> bool:
    """Tell whether a series makes sense only in kWh: all of it, from its first register on.

    What has shown Wh, or has climbed from 0, is no such series: it has been reset. Zeros within it
    are dips.
    """
    return (
        bool(values)
        and values[0] != 0
        and all(value == 0 or _is_kilowatt_hours(value, start) for value in values)
    )


def _is_kilowatt_hours(value: Decimal, start: Decimal) -> bool:
    """Tell whether a register fits its start in kWh, of which the fraction may be cut off.

    A low register may as well have begun anew: it is to fit closely.
    """
    return value < start < (value + 1) * _KILO and value * _KILO <= min(2 * start, start + _MOST_WH)


def _outlet(meter_value: MeterValue, measurand: str, unit: str) -> dict[str, Decimal]:
    """Return the values at the outlet by phase.

    What was taken at the begin of the transaction counts only when there is nothing newer.
    """
    begun: dict[str, Decimal] = {}
    newer: dict[str, Decimal] = {}
    layout, numbers = meter_value.layout, kept_numbers(meter_value)
    for at, number in enumerate(numbers):
        if (
            number is not None
            and layout.measurands[at] == measurand
            and layout.locations[at] == "Outlet"
            and layout.units[at] in {unit, None}
        ):
            found = begun if layout.contexts[at] == TRANSACTION_BEGIN else newer
            phase = (layout.phases[at] or _TOTAL).removesuffix("-N")
            found.setdefault(phase, Decimal(number))
    return newer if _PHASES.intersection(newer) else begun


def _total(by_phase: dict[str, Decimal]) -> Decimal | None:
    """Return the total, else the sum of the phases."""
    if _TOTAL in by_phase:
        return by_phase[_TOTAL]
    phases = [value for phase, value in by_phase.items() if phase in _PHASES]
    return sum(phases, Decimal(0)) if phases else None


_TOTAL = ""
_PHASES = frozenset({_TOTAL, "L1", "L2", "L3"})
_PERCENT = 100
_32_BITS = Decimal(2**32)
_KILO = 1000
_MOST_WH = 1_000_000
_MOST_W = 4_000_000
_HOUR = timedelta(hours=1)
_NOTABLE_WH = Decimal(1000)
