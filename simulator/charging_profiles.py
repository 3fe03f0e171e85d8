"""The charging profiles of a charge point, and what they allow together (OCPP 1.6 3.13)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from simulator.schedules import Profile, amperes
from simulator.times import ocpp_time

WHOLE = 0
"""The connectorId of profiles that are for the whole charge point."""

LONGEST_COMPOSITE = timedelta(days=7)
"""A composite schedule is not worked out any further ahead."""


@dataclass(frozen=True)
class _Installed:
    connector_id: int
    profile: Profile


class ChargingProfiles:
    """Keeps profiles by connector, purpose and stack level.

    Args:
        most: MaxChargingProfilesInstalled.
        highest_level: ChargeProfileMaxStackLevel.
        most_periods: ChargingScheduleMaxPeriods.
    """

    def __init__(self, most: int, highest_level: int, most_periods: int) -> None:
        self._most, self._highest_level, self._most_periods = most, highest_level, most_periods
        self._installed: list[_Installed] = []
        self._charging_since: dict[int, datetime] = {}

    def install(self, connector_id: int, profile: Profile) -> bool:
        """Keep a profile in the place of what it replaces; False: it does not belong here.

        It replaces the one with its id, and the one of its connector, purpose and stack level.
        """
        if not self.fits(connector_id, profile):
            return False
        self._installed = [*self._beside(connector_id, profile), _Installed(connector_id, profile)]
        return True

    def fits(self, connector_id: int, profile: Profile) -> bool:
        """Tell whether a profile is for such a connector and within what can be kept."""
        whole = {"ChargePointMaxProfile": {True}, "TxProfile": {False}}
        return (
            (connector_id == WHOLE) in whole.get(profile.purpose, {True, False})
            and profile.stack_level <= self._highest_level
            and len(profile.periods) <= self._most_periods
            and len(self._beside(connector_id, profile)) < self._most
        )

    def clear(
        self,
        profile_id: int | None = None,
        connector_id: int | None = None,
        purpose: str | None = None,
        stack_level: int | None = None,
    ) -> bool:
        """Drop the profile with an id, or else all that match what is given; False: there is none.

        The id alone decides if it is given (OCPP 1.6 5.3 and 6.11).
        """

        def matches(one: _Installed) -> bool:
            if profile_id is not None:
                return one.profile.id == profile_id
            return (
                connector_id in {None, one.connector_id}
                and purpose in {None, one.profile.purpose}
                and stack_level in {None, one.profile.stack_level}
            )

        return self._drop(matches)

    def begin(self, connector_id: int, now: datetime) -> None:
        """Note that a transaction starts at a connector."""
        self._charging_since[connector_id] = now

    def end(self, connector_id: int) -> None:
        """Note that the transaction is over, and with it its TxProfiles."""
        self._charging_since.pop(connector_id, None)
        self._drop(
            lambda one: one.connector_id == connector_id and one.profile.purpose == "TxProfile"
        )

    def limit_w(self, connector_id: int, now: datetime) -> float | None:
        """Return what all profiles together allow a connector, or `WHOLE`; None is everything."""
        since = self._charging_since.get(connector_id, now)
        return self._limit_w(connector_id, now, since)

    def share_w(self, connector_id: int, now: datetime, sharers: int) -> float | None:
        """Return what a connector may draw; those that charge share the limit of the whole evenly.

        Args:
            connector_id: The connector.
            now: The time.
            sharers: How many connectors charge.
        """
        whole_w, own_w = self.limit_w(WHOLE, now), self.limit_w(connector_id, now)
        if whole_w is None or own_w is None:
            return own_w
        return min(own_w, whole_w / max(1, sharers))

    def composite(
        self, connector_id: int, now: datetime, duration: timedelta, most_w: float
    ) -> list[tuple[int, float]]:
        """Return the limits ahead, as seconds from now and W.

        Args:
            connector_id: The connector, or `WHOLE`.
            now: When the schedule starts.
            duration: How far it goes, up to `LONGEST_COMPOSITE`.
            most_w: What the hardware allows.
        """
        end = now + min(duration, LONGEST_COMPOSITE)
        since = self._charging_since.get(connector_id, now)
        moments = {now}
        for one in self._installed:
            moments.update(m for m in one.profile.changes(now, end, since) if now < m < end)
        schedule: list[tuple[int, float]] = []
        for moment in sorted(moments):
            limit_w = self._limit_w(connector_id, moment, since)
            allowed_w = most_w if limit_w is None else min(limit_w, most_w)
            if not schedule or schedule[-1][1] != allowed_w:
                schedule.append((int((moment - now).total_seconds()), allowed_w))
        return schedule

    def _limit_w(self, connector_id: int, moment: datetime, since: datetime) -> float | None:
        def highest(purpose: str, connectors: Sequence[int]) -> float | None:
            return self._highest(purpose, connectors, moment, since)

        limits = [highest("ChargePointMaxProfile", [WHOLE])]
        if connector_id != WHOLE:
            own = highest("TxProfile", [connector_id])
            default = highest("TxDefaultProfile", [connector_id, WHOLE])
            limits.append(default if own is None else own)
        return min((limit for limit in limits if limit is not None), default=None)

    def _highest(
        self, purpose: str, connectors: Sequence[int], moment: datetime, since: datetime
    ) -> float | None:
        """Return the limit of the highest profile that has one; a connector's own comes first."""
        level, limit_w = (-1, False), None
        for one in self._installed:
            if one.profile.purpose != purpose or one.connector_id not in connectors:
                continue
            allowed_w = one.profile.limit_w(moment, since)
            rank = (one.profile.stack_level, one.connector_id != WHOLE)
            if allowed_w is not None and rank > level:
                level, limit_w = rank, allowed_w
        return limit_w

    def _beside(self, connector_id: int, profile: Profile) -> list[_Installed]:
        """Return what stays when a profile is installed."""
        place = (connector_id, profile.purpose, profile.stack_level)
        return [
            one
            for one in self._installed
            if one.profile.id != profile.id
            and (one.connector_id, one.profile.purpose, one.profile.stack_level) != place
        ]

    def _drop(self, matches: Callable[[_Installed], bool]) -> bool:
        kept = [one for one in self._installed if not matches(one)]
        dropped = len(kept) < len(self._installed)
        self._installed = kept
        return dropped


def charging_schedule(
    limits: Sequence[tuple[int, float]], begin: datetime, duration_s: int, unit: str
) -> dict[str, Any]:
    """Return limits in W as a ChargingSchedule with snake_case members.

    Args:
        limits: Seconds from the beginning and W.
        begin: When they start.
        duration_s: How long they last.
        unit: The ChargingRateUnitType of the result: W, or A for each of three phases.
    """
    return {
        "duration": duration_s,
        "start_schedule": ocpp_time(begin),
        "charging_rate_unit": unit,
        "charging_schedule_period": [
            {"start_period": start_s, "limit": round(amperes(w) if unit == "A" else w, 1)}
            for start_s, w in limits
        ],
    }
