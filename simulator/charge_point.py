"""A simulated charge point: stays connected, boots, beats, and keeps what it has to say."""

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from servicekit.backoff import Backoff
from servicekit.clock import Clock
from simulator.commands import routes
from simulator.configuration import Configuration
from simulator.connector import Connector, Pace, ocpp_time
from simulator.link import Link
from simulator.outbox import Message, Outbox, Refused, Unanswered
from simulator.session import Meter, Outlet

log = structlog.get_logger()

OCPP = Subprotocol("ocpp1.6")
_CLOSE_TIMEOUT_S = 0.4  # an exit takes no longer
_SOFT_RESET_PATIENCE_S = 20.0
_HARD_RESET_PATIENCE_S = 2.0
_SHORTEST_BOOT_INTERVAL_S = 1.0
_TRIGGERS = (
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
)


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a charge point says of itself in BootNotification, and its outlets."""

    vendor: str
    name: str
    firmware: str
    outlets: tuple[Outlet, ...]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What charge points of one fleet have in common.

    Attributes:
        url: The central system's address, to which the identity is appended.
        pace: How fast life goes.
        meter_interval_s: Seconds between two MeterValues of a session.
        call_timeout_s: How long to wait for an answer.
        retry_interval_s: TransactionMessageRetryInterval.
        first_delay_s: Upper bound of the wait before the first attempt to connect.
        outbox_size: Transaction messages that are kept while nobody answers.
        clock: Tells the time that is reported.
    """

    url: str
    pace: Pace
    clock: Clock
    meter_interval_s: int = 5
    call_timeout_s: float = 30.0
    retry_interval_s: int = 5
    first_delay_s: float = 0.0
    outbox_size: int = 500


@dataclass
class _Boot:
    """What the answer to BootNotification says."""

    accepted: bool
    interval_s: int = 0


class ChargePoint:
    """One charge point, for as long as `run` runs.

    Args:
        identity: The identity, last part of the URL.
        model: What it is.
        id_tags: The tags of its drivers, at least one for each connector.
        settings: What it has in common with the fleet.
        chance: Decides what cars and drivers do.
    """

    def __init__(
        self,
        identity: str,
        model: Model,
        *,
        id_tags: Sequence[str],
        settings: Settings,
        chance: random.Random,
    ) -> None:
        self.id = identity
        self.ready = asyncio.Event()
        self.configuration = Configuration(
            {
                "MeterValueSampleInterval": str(settings.meter_interval_s),
                "NumberOfConnectors": str(len(model.outlets)),
                "TransactionMessageRetryInterval": str(settings.retry_interval_s),
            }
        )
        self.outbox = Outbox(
            settings.outbox_size,
            lambda: self.configuration.number("TransactionMessageAttempts"),
            lambda: self.configuration.number("TransactionMessageRetryInterval"),
        )
        self._model, self._id_tags, self._settings = model, id_tags, settings
        self._connectors = [
            Connector(
                number=number,
                outlet=outlet,
                meter=Meter(chance.uniform(10_000, 4_000_000)),
                station=self,
                id_tags=id_tags[number - 1 :: len(model.outlets)],  # never two with one tag
                pace=settings.pace,
                clock=settings.clock,
                chance=chance,
            )
            for number, outlet in enumerate(model.outlets, 1)
        ]
        self._chance = chance
        self._link: Link | None = None
        self._registered = False  # before that, nothing but BootNotification may be sent
        self._accepted_id_tags: set[str] = set()
        self._routes = routes(self)
        self._errands: set[asyncio.Task[None]] = set()

    @property
    def connectors(self) -> Sequence[Connector]:
        """The connectors, 1 first."""
        return self._connectors

    @property
    def online(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    async def run(self) -> None:
        """Charge cars and stay connected until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for connector in self._connectors:
                    tasks.create_task(connector.run())
                tasks.create_task(self._stay_connected())
        finally:
            for errand in self._errands:
                errand.cancel()

    async def call(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Send a call on the present connection and return the answer.

        Raises:
            Unanswered: There is no connection, or no usable answer came.
            Refused: A CALLERROR came.
        """
        if self._link is None:
            raise Unanswered(f"{action}: there is no connection.")
        return await self._link.call(action, payload)

    async def report_status(self, connector: Connector) -> None:
        """Tell the central system the connector's status; now, or when it is back."""
        if not (self._registered and self.online):
            return
        told = (connector.status, connector.status_time)
        if await self._attempt("StatusNotification", _status(connector.number, *told)):
            connector.reported = told

    async def authorize(self, id_tag: str) -> bool:
        """Tell whether an id tag may charge; offline, the tags accepted before may."""
        try:
            answer = await self.call("Authorize", {"id_tag": id_tag})
        except (Unanswered, Refused):
            anyone = self.configuration.enabled("AllowOfflineTxForUnknownId")
            return anyone or id_tag in self._accepted_id_tags
        if answer["id_tag_info"]["status"] != "Accepted":
            self._accepted_id_tags.discard(id_tag)
            return False
        if id_tag in self._id_tags:  # which bounds the cache
            self._accepted_id_tags.add(id_tag)
        return True

    def clear_cache(self) -> None:
        """Forget which id tags were accepted."""
        self._accepted_id_tags.clear()

    def can_trigger(self, message: str, connector_id: int | None) -> bool:
        """Tell whether TriggerMessage can be obeyed."""
        return message in _TRIGGERS and (connector_id or 0) <= len(self._connectors)

    def trigger(self, message: str, connector_id: int | None) -> None:
        """Send a message soon, as TriggerMessage asks."""
        chosen = [c for c in self._connectors if connector_id in {None, 0, c.number}]
        match message:
            case "BootNotification":
                self._soon(self._boot())
            case "MeterValues":
                for connector in chosen:
                    self._soon(self._send_meter_values(connector))
            case "StatusNotification":
                named = [] if connector_id == 0 else chosen  # 0 is the charge point itself
                self._soon(self._report(named, whole=connector_id in {None, 0}))
            case "Heartbeat":
                self._soon(self._send("Heartbeat", {}))
            case _:
                self._soon(self._send(message, {"status": "Idle"}))

    def reset(self, kind: str) -> None:
        """Reset soon; kind is a ResetType."""
        self._soon(self._reset(kind))

    # --- the connection ---

    async def _stay_connected(self) -> None:
        backoff = Backoff(first=1, most=30)
        await asyncio.sleep(self._chance.uniform(0, self._settings.first_delay_s))
        while True:
            try:
                async with self._connect() as socket:
                    await self._converse(socket, backoff)
            except (OSError, WebSocketException) as error:
                log.info("connect_failed", charge_point=self.id, why=str(error))
            await asyncio.sleep(backoff.next_delay())

    def _connect(self) -> connect:
        return connect(
            f"{self._settings.url.rstrip('/')}/{quote(self.id, safe='')}",
            subprotocols=[OCPP],
            compression=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            proxy=None,
        )

    async def _converse(self, socket: ClientConnection, backoff: Backoff) -> None:
        if socket.subprotocol != OCPP:
            log.error("subprotocol_refused", charge_point=self.id, offered=OCPP)
            return
        log.info("connected", charge_point=self.id)
        link = Link(self.id, socket, self._routes, self._settings.call_timeout_s)
        self._link = link
        try:
            async with asyncio.TaskGroup() as tasks:
                work = tasks.create_task(self._work(link, backoff))
                await link.serve()
                work.cancel()
        finally:
            self._link = None
            log.info("disconnected", charge_point=self.id, code=socket.close_code)

    async def _work(self, link: Link, backoff: Backoff) -> None:
        await self._boot_until_accepted()
        backoff.reset()
        await self._report_what_changed()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat())
            tasks.create_task(self.outbox.deliver(link.call))

    async def _boot_until_accepted(self) -> None:
        while not self.ready.is_set():
            boot = await self._boot()
            if not boot.accepted:
                await asyncio.sleep(max(boot.interval_s, _SHORTEST_BOOT_INTERVAL_S))

    async def _boot(self) -> _Boot:
        """Send BootNotification; once accepted, the charge point is ready for everything else."""
        payload = {
            "charge_point_vendor": self._model.vendor,
            "charge_point_model": self._model.name,
            "firmware_version": self._model.firmware,
            "charge_point_serial_number": f"SN-{self.id}"[:25],
        }
        answer = await self._attempt("BootNotification", payload)
        if answer is None:
            return _Boot(accepted=False, interval_s=self._settings.retry_interval_s)
        if answer["status"] != "Accepted":
            log.info("boot_not_accepted", charge_point=self.id, status=answer["status"])
            return _Boot(accepted=False, interval_s=answer["interval"])
        if answer["interval"] > 0:
            self.configuration.set("HeartbeatInterval", str(answer["interval"]))
        if not self.ready.is_set():
            self._registered = True
            await self._report(self._connectors, whole=True)
            self.ready.set()
        return _Boot(accepted=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(max(1, self.configuration.number("HeartbeatInterval")))
            await self._attempt("Heartbeat", {})
            await self._report_what_changed()

    # --- messages that are not about transactions: sent once ---

    async def _attempt(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            return await self.call(action, payload) or {"answered": True}
        except (Unanswered, Refused) as error:
            log.warning("call_failed", charge_point=self.id, action=action, why=str(error))
            return None

    async def _send(self, action: str, payload: Mapping[str, Any]) -> None:
        await self._attempt(action, payload)

    async def _report(self, connectors: Sequence[Connector], *, whole: bool) -> None:
        if whole:
            now = self._settings.clock.now()
            await self._attempt("StatusNotification", _status(0, "Available", now))
        for connector in connectors:
            await self.report_status(connector)

    async def _report_what_changed(self) -> None:
        for connector in self._connectors:
            if connector.reported != (connector.status, connector.status_time):
                await self.report_status(connector)

    async def _send_meter_values(self, connector: Connector) -> None:
        payload = {
            "connector_id": connector.number,
            "meter_value": [connector.meter_value("Trigger")],
        }
        if connector.transaction is None:
            await self._attempt("MeterValues", payload)
        else:
            self.outbox.put(Message("MeterValues", connector.transaction, payload))

    # --- resets ---

    async def _reset(self, kind: str) -> None:
        log.info("reset", charge_point=self.id, kind=kind)
        hard = kind == "Hard"
        self.ready.clear()  # no new car until the next boot
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HARD_RESET_PATIENCE_S if hard else _SOFT_RESET_PATIENCE_S):
                await self._stop_all(f"{kind}Reset")
        self._registered = False
        if hard and self._link is not None:
            await self._link.close()
        elif not hard:
            await self._boot_until_accepted()

    async def _stop_all(self, reason: str) -> None:
        """Stop what runs, and return when the central system knows it."""
        for connector in self._connectors:
            connector.stop(reason)
        for connector in self._connectors:
            await connector.idle.wait()
        await self.outbox.empty.wait()

    def _soon(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Do something beside the conversation, and hold on to it until it is done."""
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _status(connector_id: int, status: str, moment: datetime) -> dict[str, Any]:
    return {
        "connector_id": connector_id,
        "error_code": "NoError",
        "status": status,
        "timestamp": ocpp_time(moment),
    }
