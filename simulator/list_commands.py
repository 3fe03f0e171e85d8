"""Answers the operations of the local authorization list (OCPP 1.6 5.10, 5.15)."""

from typing import Any

from ocpp.v16 import call_result

from simulator.controls import Controls

_NO_LIST = -1


class ListCommands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def get_local_list_version(self, **_: Any) -> Any:
        """Answer GetLocalListVersion."""
        version = self._controls.local_list.version if self._enabled() else _NO_LIST
        return call_result.GetLocalListVersion(list_version=version)

    def send_local_list(self, **request: Any) -> Any:
        """Answer SendLocalList."""
        if not self._enabled():
            return call_result.SendLocalList(status="NotSupported")
        entries = request.get("local_authorization_list") or ()
        status = self._controls.local_list.update(
            request["update_type"], request["list_version"], entries
        )
        return call_result.SendLocalList(status=status)

    def _enabled(self) -> bool:
        return self._controls.configuration.enabled("LocalAuthListEnabled")
