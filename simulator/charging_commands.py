"""Answers the operations of the smart charging profile (OCPP 1.6 5.3, 5.7, 5.16)."""

from datetime import timedelta
from typing import Any

from ocpp.v16 import call_result

from simulator.charging_profiles import LONGEST_COMPOSITE, WHOLE, charging_schedule
from simulator.controls import Controls
from simulator.schedules import NotAProfile, Profile
from simulator.times import ocpp_time


class ChargingCommands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def set_charging_profile(self, **request: Any) -> Any:
        """Answer SetChargingProfile."""
        try:
            profile = Profile.of(request["cs_charging_profiles"])
        except NotAProfile:
            return call_result.SetChargingProfile(status="Rejected")
        connector_id = request["connector_id"]
        fits = self._known(connector_id) and self._has_its_transaction(connector_id, profile)
        if not fits or not self._controls.profiles.install(connector_id, profile):
            return call_result.SetChargingProfile(status="Rejected")
        self._wake()
        return call_result.SetChargingProfile(status="Accepted")

    def clear_charging_profile(self, **request: Any) -> Any:
        """Answer ClearChargingProfile."""
        cleared = self._controls.profiles.clear(
            request.get("id"),
            request.get("connector_id"),
            request.get("charging_profile_purpose"),
            request.get("stack_level"),
        )
        self._wake()
        return call_result.ClearChargingProfile(status="Accepted" if cleared else "Unknown")

    def get_composite_schedule(self, **request: Any) -> Any:
        """Answer GetCompositeSchedule."""
        connector_id, seconds = request["connector_id"], request["duration"]
        if not self._known(connector_id) or seconds < 0:
            return call_result.GetCompositeSchedule(status="Rejected")
        seconds = min(seconds, int(LONGEST_COMPOSITE.total_seconds()))
        now = self._controls.now()
        limits = self._controls.profiles.composite(
            connector_id, now, timedelta(seconds=seconds), self._most_w(connector_id)
        )
        unit = request.get("charging_rate_unit") or "W"
        return call_result.GetCompositeSchedule(
            status="Accepted",
            connector_id=connector_id,
            schedule_start=ocpp_time(now),
            charging_schedule=charging_schedule(limits, now, seconds, unit),
        )

    def _has_its_transaction(self, connector_id: int, profile: Profile) -> bool:
        if profile.purpose != "TxProfile":
            return True
        return any(
            connector.charging
            and connector.transaction is not None
            and profile.transaction_id in {None, connector.transaction.id}
            for connector in self._controls.connectors
            if connector.number == connector_id
        )

    def _most_w(self, connector_id: int) -> float:
        chosen = (
            connector.outlet.max_power_w
            for connector in self._controls.connectors
            if connector_id in {WHOLE, connector.number}
        )
        return sum(chosen)

    def _known(self, connector_id: int) -> bool:
        return 0 <= connector_id <= len(self._controls.connectors)

    def _wake(self) -> None:
        for connector in self._controls.connectors:
            connector.look_again()
