"""Answers the operations that ask for a message (OCPP 1.6 5.17; security extension 5)."""

from typing import Any

from ocpp.v16 import call_result

from simulator.controls import Controls
from simulator.maintenance import SIGNED_FIRMWARE

_MESSAGES = {
    message: message
    for message in (
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "MeterValues",
        "StatusNotification",
    )
}
_EXTENDED_MESSAGES = {
    "BootNotification": "BootNotification",
    "FirmwareStatusNotification": SIGNED_FIRMWARE,
    "Heartbeat": "Heartbeat",
    "LogStatusNotification": "LogStatusNotification",
    "MeterValues": "MeterValues",
    "SignChargePointCertificate": "SignCertificate",
    "StatusNotification": "StatusNotification",
}
"""What is sent for what is asked."""


class TriggerCommands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def trigger_message(self, **request: Any) -> Any:
        """Answer TriggerMessage."""
        return call_result.TriggerMessage(status=self._status(_MESSAGES, request))

    def after_trigger_message(self, **request: Any) -> None:
        """Send the message."""
        self._send(_MESSAGES, request)

    def extended_trigger_message(self, **request: Any) -> Any:
        """Answer ExtendedTriggerMessage."""
        return call_result.ExtendedTriggerMessage(status=self._status(_EXTENDED_MESSAGES, request))

    def after_extended_trigger_message(self, **request: Any) -> None:
        """Send the message."""
        self._send(_EXTENDED_MESSAGES, request)

    def _status(self, messages: dict[str, str], request: dict[str, Any]) -> str:
        if request["requested_message"] not in messages:
            return "NotImplemented"
        known = 0 <= (request.get("connector_id") or 0) <= len(self._controls.connectors)
        return "Accepted" if known else "Rejected"

    def _send(self, messages: dict[str, str], request: dict[str, Any]) -> None:
        if self._status(messages, request) == "Accepted":
            message = messages[request["requested_message"]]
            self._controls.triggers.send(message, request.get("connector_id"))
