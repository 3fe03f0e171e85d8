"""One charging profile: what it allows at a moment (OCPP 1.6 3.13, 7.8 and 7.13)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from simulator.times import parse_optional_time

PHASE_VOLTAGE = 230.0
_PHASES = 3
_RECURRENCES = {"Daily": timedelta(days=1), "Weekly": timedelta(weeks=1)}
_LONGEST_S = 10 * 365 * 86_400
_Number = TypeVar("_Number", int, float)


class NotAProfile(ValueError):
    """Says why a charging profile cannot be obeyed."""


@dataclass(frozen=True)
class Period:
    """From a number of seconds after its schedule's start, this much power in W is allowed."""

    start_s: int
    limit_w: float


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A charging profile, its limits in W.

    Attributes:
        id: The chargingProfileId.
        purpose: A ChargingProfilePurposeType.
        stack_level: Among the profiles of one purpose that apply, the highest counts.
        transaction_id: The transaction that a TxProfile names.
        relative: Whether the schedule starts when charging does.
        recurrence: After which time the schedule starts again.
        valid_from: From when on it applies; None is always.
        valid_to: Until when.
        start: When the schedule starts; None when charging starts.
        duration: How long the schedule is; None is without end.
        periods: At least one; the first starts at 0, the others later, in order.
    """

    id: int
    purpose: str
    stack_level: int
    transaction_id: int | None = None
    relative: bool = False
    recurrence: timedelta | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    start: datetime | None = None
    duration: timedelta | None = None
    periods: tuple[Period, ...]

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Profile":
        """Read a ChargingProfile with snake_case members.

        Raises:
            NotAProfile: It contradicts itself.
            PropertyConstraintViolationError: One of its times is no time.
        """
        kind, schedule = payload["charging_profile_kind"], payload["charging_schedule"]
        start = parse_optional_time(schedule.get("start_schedule"))
        recurrence = _RECURRENCES.get(payload.get("recurrency_kind") or "")
        if kind == "Recurring" and (recurrence is None or start is None):
            raise NotAProfile("A recurring profile needs recurrencyKind and startSchedule.")
        return cls(
            id=payload["charging_profile_id"],
            purpose=payload["charging_profile_purpose"],
            stack_level=_not_negative(payload["stack_level"]),
            transaction_id=payload.get("transaction_id"),
            relative=kind == "Relative",
            recurrence=recurrence if kind == "Recurring" else None,
            valid_from=parse_optional_time(payload.get("valid_from")),
            valid_to=parse_optional_time(payload.get("valid_to")),
            start=None if kind == "Relative" else start,
            duration=_duration(schedule.get("duration")),
            periods=_periods(schedule),
        )

    def limit_w(self, moment: datetime, charging_since: datetime) -> float | None:
        """Return what is allowed at a moment; None: the profile says nothing about it.

        Args:
            moment: The moment.
            charging_since: When charging started, for schedules that start with it.
        """
        begin = self._begin(moment, charging_since)
        if begin is None or not self._valid_at(moment):
            return None
        elapsed_s = (moment - begin).total_seconds()
        if self.duration is not None and elapsed_s >= self.duration.total_seconds():
            return None
        return [period.limit_w for period in self.periods if period.start_s <= elapsed_s][-1]

    def changes(
        self, begin: datetime, end: datetime, charging_since: datetime
    ) -> Iterator[datetime]:
        """Yield the moments, some of them beyond the ends, at which the limit may change."""
        yield from (moment for moment in (self.valid_from, self.valid_to) if moment is not None)
        start = self._begin(begin, charging_since) or self.start or charging_since
        while start <= end:
            yield from (start + timedelta(seconds=period.start_s) for period in self.periods)
            if self.duration is not None:
                yield start + self.duration
            if self.recurrence is None:
                return
            start += self.recurrence

    def _valid_at(self, moment: datetime) -> bool:
        if self.valid_from is not None and moment < self.valid_from:
            return False
        return self.valid_to is None or moment < self.valid_to

    def _begin(self, moment: datetime, charging_since: datetime) -> datetime | None:
        """Return when the schedule that runs at a moment started."""
        start = self.start or charging_since
        if moment < start:
            return None
        if self.recurrence is None:
            return start
        return start + (moment - start) // self.recurrence * self.recurrence


def _periods(schedule: Mapping[str, Any]) -> tuple[Period, ...]:
    in_amperes = schedule["charging_rate_unit"] == "A"
    periods = tuple(_period(period, in_amperes) for period in schedule["charging_schedule_period"])
    starts = [period.start_s for period in periods]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] > _LONGEST_S:
        raise NotAProfile("The periods of a schedule start at 0 and follow each other.")
    return periods


def _period(period: Mapping[str, Any], in_amperes: bool) -> Period:
    limit = _not_negative(float(period["limit"]))
    phases = period.get("number_phases") or _PHASES
    if not 1 <= phases <= _PHASES:
        raise NotAProfile("A charge point has one to three phases.")
    return Period(period["start_period"], limit * PHASE_VOLTAGE * phases if in_amperes else limit)


def _duration(seconds: int | None) -> timedelta | None:
    if seconds is None or seconds > _LONGEST_S:
        return None
    return timedelta(seconds=_not_negative(seconds))


def _not_negative(number: _Number) -> _Number:
    if number < 0:
        raise NotAProfile("Levels, times and limits are not negative.")
    return number


def amperes(power_w: float) -> float:
    """Return a power as the current of each of three phases."""
    return power_w / PHASE_VOLTAGE / _PHASES
