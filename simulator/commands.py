"""What the central system can tell a charge point to do: one row for each action.

An action that has no row is answered with NotImplemented by the `ocpp` package.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from ocpp.v16 import call_result

from simulator.configuration import Configuration
from simulator.connector import Connector
from simulator.link import Routes


class Controls(Protocol):
    """What commands act on: the charge point behind its connection."""

    configuration: Configuration

    @property
    def connectors(self) -> Sequence[Connector]:
        """The connectors, 1 first."""

    def can_trigger(self, message: str, connector_id: int | None) -> bool:
        """Tell whether TriggerMessage can be obeyed."""

    def trigger(self, message: str, connector_id: int | None) -> None:
        """Send a message soon, as TriggerMessage asks."""

    def reset(self, kind: str) -> None:
        """Reset soon; kind is a ResetType."""

    def clear_cache(self) -> None:
        """Forget which id tags were accepted."""


def routes(controls: Controls) -> Routes:
    """Return what answers each action, and what follows the answer."""
    commands = _Commands(controls)
    return {
        "CancelReservation": _on(commands.cancel_reservation),
        "ChangeAvailability": _on(commands.change_availability),
        "ChangeConfiguration": _on(commands.change_configuration),
        "ClearCache": _on(commands.clear_cache),
        "ClearChargingProfile": _on(commands.clear_charging_profile),
        "DataTransfer": _on(commands.data_transfer),
        "GetConfiguration": _on(commands.get_configuration),
        "GetLocalListVersion": _on(commands.get_local_list_version),
        "RemoteStartTransaction": _on(commands.remote_start_transaction),
        "RemoteStopTransaction": _on(commands.remote_stop_transaction),
        "ReserveNow": _on(commands.reserve_now),
        "Reset": _on(commands.reset) | {"_after_action": commands.after_reset},
        "SendLocalList": _on(commands.send_local_list),
        "SetChargingProfile": _on(commands.set_charging_profile),
        "TriggerMessage": _on(commands.trigger_message)
        | {"_after_action": commands.after_trigger_message},
        "UnlockConnector": _on(commands.unlock_connector),
    }


def _on(handler: Any) -> dict[str, Any]:
    return {"_on_action": handler}


class _Commands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def cancel_reservation(self, **_: Any) -> Any:
        return call_result.CancelReservation(status="Rejected")

    def change_availability(self, **request: Any) -> Any:
        operative = request["type"] == "Operative"
        chosen = self._chosen(request["connector_id"])
        answers = {connector.change_availability(operative=operative) for connector in chosen}
        status = "Scheduled" if "Scheduled" in answers else "Accepted"
        return call_result.ChangeAvailability(status=status if chosen else "Rejected")

    def change_configuration(self, **request: Any) -> Any:
        status = self._controls.configuration.change(request["key"], request["value"])
        return call_result.ChangeConfiguration(status=status)

    def clear_cache(self, **_: Any) -> Any:
        self._controls.clear_cache()
        return call_result.ClearCache(status="Accepted")

    def clear_charging_profile(self, **_: Any) -> Any:
        return call_result.ClearChargingProfile(status="Unknown")

    def data_transfer(self, **_: Any) -> Any:
        return call_result.DataTransfer(status="UnknownVendorId")

    def get_configuration(self, **request: Any) -> Any:
        known, unknown = self._controls.configuration.get(request.get("key") or ())
        return call_result.GetConfiguration(configuration_key=known, unknown_key=unknown or None)

    def get_local_list_version(self, **_: Any) -> Any:
        return call_result.GetLocalListVersion(list_version=-1)  # there is no list

    def remote_start_transaction(self, **request: Any) -> Any:
        chosen = self._chosen(request.get("connector_id") or 0)
        started = any(connector.start_remotely(request["id_tag"]) for connector in chosen)
        return call_result.RemoteStartTransaction(status=_accepted(started))

    def remote_stop_transaction(self, **request: Any) -> Any:
        stopped = any(
            connector.stop("Remote")
            for connector in self._controls.connectors
            if connector.transaction and connector.transaction.id == request["transaction_id"]
        )
        return call_result.RemoteStopTransaction(status=_accepted(stopped))

    def reserve_now(self, **_: Any) -> Any:
        return call_result.ReserveNow(status="Rejected")

    def reset(self, **_: Any) -> Any:
        return call_result.Reset(status="Accepted")

    def after_reset(self, **request: Any) -> None:
        self._controls.reset(request["type"])

    def send_local_list(self, **_: Any) -> Any:
        return call_result.SendLocalList(status="NotSupported")

    def set_charging_profile(self, **_: Any) -> Any:
        return call_result.SetChargingProfile(status="NotSupported")

    def trigger_message(self, **request: Any) -> Any:
        return call_result.TriggerMessage(
            status=_accepted(self._controls.can_trigger(*_trigger(request)))
        )

    def after_trigger_message(self, **request: Any) -> None:
        if self._controls.can_trigger(*_trigger(request)):
            self._controls.trigger(*_trigger(request))

    def unlock_connector(self, **request: Any) -> Any:
        chosen = [c for c in self._controls.connectors if c.number == request["connector_id"]]
        if not chosen or chosen[0].outlet.dc:  # a DC cable hangs on the charge point
            return call_result.UnlockConnector(status="NotSupported")
        chosen[0].stop("UnlockCommand")
        return call_result.UnlockConnector(status="Unlocked")

    def _chosen(self, connector_id: int) -> list[Connector]:
        return [c for c in self._controls.connectors if connector_id in {0, c.number}]


def _trigger(request: dict[str, Any]) -> tuple[str, int | None]:
    return request["requested_message"], request.get("connector_id")


def _accepted(done: bool) -> str:
    return "Accepted" if done else "Rejected"
