"""Sends messages that the central system asked for, or has to hear of."""

from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from simulator.configuration import Configuration
from simulator.connector import Connector
from simulator.maintenance import LOG, SIGNED_FIRMWARE, Maintenance
from simulator.outbox import Message, Outbox
from simulator.signing import Key
from simulator.times import ocpp_time


class Sender(Protocol):
    """What can be sent, and by whom."""

    id: str
    outbox: Outbox
    configuration: Configuration
    maintenance: Maintenance

    @property
    def connectors(self) -> Sequence[Connector]:
        """The connectors, 1 first."""

    @property
    def key(self) -> Key:
        """The private key that its certificate is for."""

    def now(self) -> datetime:
        """Return the time."""

    def soon(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Do something beside the conversation."""

    async def boot(self) -> object:
        """Send BootNotification."""

    async def report(self, connectors: Sequence[Connector], *, whole: bool) -> None:
        """Send the status of connectors, and of the charge point itself."""

    async def attempt(self, action: str, payload: Mapping[str, Any]) -> object:
        """Send a call once."""

    async def notify(self, action: str, payload: Mapping[str, Any]) -> None:
        """Send a call, and again if it is missed."""


class Triggers:
    """Sends messages out of turn.

    Args:
        sender: The charge point.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def send(self, message: str, connector_id: int | None) -> None:
        """Send a message soon; connector_id None or 0 stands for every connector."""
        sender = self._sender
        chosen = [one for one in sender.connectors if connector_id in {None, 0, one.number}]
        match message:
            case "BootNotification":
                sender.soon(sender.boot())
            case "MeterValues":
                for connector in chosen:
                    sender.soon(self._send_meter_values(connector))
            case "StatusNotification":
                named = [] if connector_id == 0 else chosen  # 0 is the charge point itself
                sender.soon(sender.report(named, whole=connector_id in {None, 0}))
            case "Heartbeat":
                sender.soon(sender.attempt("Heartbeat", {}))
            case "SignCertificate":
                names = sender.id, sender.configuration.text("CpoName")
                csr = sender.key.certificate_request(*names)
                sender.soon(sender.notify(message, {"csr": csr}))
            case _:
                told = {"request_id": None} if message in {LOG, SIGNED_FIRMWARE} else {}
                told |= sender.maintenance.told(message)
                sender.soon(sender.attempt(message, told))

    def security_event(self, kind: str) -> None:
        """Tell the central system of a security event soon."""
        event = {"type": kind, "timestamp": ocpp_time(self._sender.now()), "tech_info": None}
        self._sender.soon(self._sender.notify("SecurityEventNotification", event))

    async def _send_meter_values(self, connector: Connector) -> None:
        value = connector.meter_value("Trigger")
        payload = {"connector_id": connector.number, "meter_value": [value]}
        if connector.transaction is None:
            await self._sender.attempt("MeterValues", payload)
        else:
            self._sender.outbox.put(Message("MeterValues", connector.transaction, payload))
