"""Answers the operations of the core profile (OCPP 1.6 section 5)."""

from typing import Any

from ocpp.v16 import call_result

from simulator.connector import Connector, Driver
from simulator.controls import Controls
from simulator.schedules import NotAProfile, Profile


class CoreCommands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def change_availability(self, **request: Any) -> Any:
        """Answer ChangeAvailability."""
        known = 0 <= request["connector_id"] <= len(self._controls.connectors)
        if not known:
            return call_result.ChangeAvailability(status="Rejected")
        status = self._controls.change_availability(
            request["connector_id"], operative=request["type"] == "Operative"
        )
        return call_result.ChangeAvailability(status=status)

    def change_configuration(self, **request: Any) -> Any:
        """Answer ChangeConfiguration."""
        status = self._controls.configuration.change(request["key"], request["value"])
        return call_result.ChangeConfiguration(status=status)

    def after_change_configuration(self, **request: Any) -> None:
        """Come back with the new password once it was changed."""
        present = self._controls.configuration.text("AuthorizationKey")
        if request["key"].casefold() == "authorizationkey" and request["value"] == present:
            self._controls.reconnect()

    def clear_cache(self, **_: Any) -> Any:
        """Answer ClearCache."""
        return call_result.ClearCache(status=self._controls.authorizer.clear_cache())

    def data_transfer(self, **_: Any) -> Any:
        """Answer DataTransfer: no vendor is known."""
        return call_result.DataTransfer(status="UnknownVendorId")

    def get_configuration(self, **request: Any) -> Any:
        """Answer GetConfiguration."""
        known, unknown = self._controls.configuration.get(request.get("key") or ())
        return call_result.GetConfiguration(configuration_key=known, unknown_key=unknown or None)

    def remote_start_transaction(self, **request: Any) -> Any:
        """Answer RemoteStartTransaction; a connector reserved for the tag is preferred."""
        driver = _driver(request)
        chosen = [] if driver is None else self._chosen(request.get("connector_id"))
        chosen.sort(key=lambda connector: not self._controls.reservations.of(connector.number))
        started = driver is not None and any(one.start_remotely(driver) for one in chosen)
        return call_result.RemoteStartTransaction(status=_accepted(started))

    def remote_stop_transaction(self, **request: Any) -> Any:
        """Answer RemoteStopTransaction."""
        stopped = any(
            connector.stop("Remote")
            for connector in self._controls.connectors
            if connector.transaction and connector.transaction.id == request["transaction_id"]
        )
        return call_result.RemoteStopTransaction(status=_accepted(stopped))

    def reset(self, **_: Any) -> Any:
        """Answer Reset."""
        return call_result.Reset(status="Accepted")

    def after_reset(self, **request: Any) -> None:
        """Reset."""
        self._controls.reset(request["type"])

    def unlock_connector(self, **request: Any) -> Any:
        """Answer UnlockConnector; a DC cable hangs on the charge point."""
        number = request["connector_id"]
        chosen = [one for one in self._controls.connectors if one.number == number]
        if not chosen or chosen[0].outlet.dc:
            return call_result.UnlockConnector(status="NotSupported")
        chosen[0].stop("UnlockCommand")
        return call_result.UnlockConnector(status="Unlocked")

    def _chosen(self, connector_id: int | None) -> list[Connector]:
        return [one for one in self._controls.connectors if connector_id in {None, one.number}]


def _driver(request: dict[str, Any]) -> Driver | None:
    """Return the driver of a remote start; None: the profile is none for a start."""
    payload = request.get("charging_profile")
    if payload is None:
        return Driver(request["id_tag"], remote=True)
    try:
        profile = Profile.of(payload)
    except NotAProfile:
        return None
    if profile.purpose != "TxProfile" or profile.transaction_id is not None:
        return None
    return Driver(request["id_tag"], remote=True, profile=profile)


def _accepted(done: bool) -> str:
    return "Accepted" if done else "Rejected"
