"""A simulated charge point: stays connected, boots, beats, and keeps what it has to say."""

import asyncio
import contextlib
import functools
import random
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from servicekit.backoff import Backoff
from simulator.authorization import Authorizer
from simulator.certificates import TrustStore
from simulator.charging_profiles import ChargingProfiles
from simulator.commands import routes
from simulator.configuration import Configuration
from simulator.connector import Connector
from simulator.expiry import Expiry
from simulator.handshake import OCPP, connect_to
from simulator.link import Link
from simulator.local_list import LocalList
from simulator.maintenance import Maintenance
from simulator.outbox import Outbox, Refused, Unanswered
from simulator.reservations import Reservations
from simulator.session import Meter
from simulator.settings import Model, Settings
from simulator.signing import Key
from simulator.times import ocpp_time
from simulator.triggers import Triggers

log = structlog.get_logger()

_SOFT_RESET_PATIENCE_S = 20.0
_HARD_RESET_PATIENCE_S = 2.0
_SHORTEST_BOOT_INTERVAL_S = 1.0
_NOTICE_ATTEMPTS = 5
_MOST_ERRANDS = 200


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
        self._model, self._settings = model, settings
        number = self.configuration.number
        self.reservations = Reservations()
        self.profiles = ChargingProfiles(
            number("MaxChargingProfilesInstalled"),
            number("ChargeProfileMaxStackLevel"),
            number("ChargingScheduleMaxPeriods"),
        )
        self.local_list = LocalList(
            number("LocalAuthListMaxLength"), number("SendLocalListMaxLength")
        )
        self.authorizer = Authorizer(
            self.call, self.configuration, self.local_list, id_tags, self.now
        )
        self.trust = TrustStore(number("CertificateStoreMaxLength"))
        self.triggers = Triggers(self)
        self.maintenance = Maintenance(self.notify, settings.step_s, settings.clock)
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
        self._routes = routes(self)
        self._errands: set[asyncio.Task[None]] = set()
        self._firmware = model.firmware
        self._operative = True
        self._whole_status = "Available"  # of connector 0
        self._expiry = Expiry(self.reservations, self.reservations_changed, settings.clock)

    @property
    def connectors(self) -> Sequence[Connector]:
        """The connectors, 1 first."""
        return self._connectors

    @property
    def online(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    @functools.cached_property
    def key(self) -> Key:
        """The private key that its certificate is for."""
        return Key()

    def now(self) -> datetime:
        """Return the time."""
        return self._settings.clock.now()

    async def run(self) -> None:
        """Charge cars and stay connected until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for connector in self._connectors:
                    tasks.create_task(connector.run())
                tasks.create_task(self._stay_connected())
                tasks.create_task(self._expiry.watch())
        finally:
            self.maintenance.stop_all()
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
        if await self.attempt("StatusNotification", _status(connector.number, *told)):
            connector.reported = told

    def limit_w(self, connector_id: int) -> float | None:
        """Return what charging profiles allow a connector now; None is everything."""
        sharers = sum(connector.charging for connector in self._connectors)
        return self.profiles.share_w(connector_id, self.now(), sharers)

    def barred(self, connector_id: int, id_tag: str, parent_id_tag: str | None) -> bool:
        """Tell whether reservations of others keep a tag from a connector."""
        free = sum(
            connector.number == connector_id or (connector.operative and not connector.busy)
            for connector in self._connectors
            if not self.reservations.of(connector.number)
        )
        return self.reservations.bar(connector_id, id_tag, parent_id_tag, free)

    def change_availability(self, connector_id: int, *, operative: bool) -> str:
        """Take a connector, or with 0 everything, in or out of service.

        Returns:
            The AvailabilityStatus.
        """
        chosen = [c for c in self._connectors if connector_id in {0, c.number}]
        answers = {connector.change_availability(operative=operative) for connector in chosen}
        if connector_id == 0:
            self._operative = operative
            self.soon(self._follow_availability())
        return "Scheduled" if "Scheduled" in answers else "Accepted"

    def reservations_changed(self) -> None:
        """Show reservations at the connectors, and watch their expiry."""
        self._expiry.look_again()
        for connector in self._connectors:
            connector.look_again()

    def reconnect(self) -> None:
        """Close the connection soon and open another."""
        self.soon(self._hang_up())

    async def reboot(self, firmware: str | None) -> None:
        """Start anew, with another version of the firmware, and return when that is done."""
        self._firmware = firmware or self._firmware
        await self._restart("Reboot", _SOFT_RESET_PATIENCE_S)
        await self._hang_up()
        await self.ready.wait()

    async def power_down(self) -> None:
        """Stop what runs, and return when the central system knows it."""
        self.ready.clear()
        await self._stop_all("PowerLoss")

    def reset(self, kind: str) -> None:
        """Reset soon; kind is a ResetType."""
        self.soon(self._reset(kind))

    # --- the connection ---

    async def _stay_connected(self) -> None:
        backoff = Backoff(first=1, most=30)
        await asyncio.sleep(self._chance.uniform(0, self._settings.first_delay_s))
        while True:
            try:
                async with connect_to(self._settings.url, self.id, self.configuration) as socket:
                    await self._converse(socket, backoff)
            except (OSError, WebSocketException) as error:
                log.info("connect_failed", charge_point=self.id, why=str(error))
            await asyncio.sleep(backoff.next_delay())

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
            boot = await self.boot()
            if not boot.accepted:
                await asyncio.sleep(max(boot.interval_s, _SHORTEST_BOOT_INTERVAL_S))

    async def boot(self) -> _Boot:
        """Send BootNotification; once accepted, the charge point is ready for everything else."""
        payload = {
            "charge_point_vendor": self._model.vendor,
            "charge_point_model": self._model.name,
            "firmware_version": self._firmware,
            "charge_point_serial_number": f"SN-{self.id}"[:25],
        }
        answer = await self.attempt("BootNotification", payload)
        if answer is None:
            return _Boot(accepted=False, interval_s=self._settings.retry_interval_s)
        if answer["status"] != "Accepted":
            log.info("boot_not_accepted", charge_point=self.id, status=answer["status"])
            return _Boot(accepted=False, interval_s=answer["interval"])
        if answer["interval"] > 0:
            self.configuration.set("HeartbeatInterval", str(answer["interval"]))
        if not self.ready.is_set():
            self._registered = True
            await self.report(self._connectors, whole=True)
            self.ready.set()
        return _Boot(accepted=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(max(1, self.configuration.number("HeartbeatInterval")))
            await self.attempt("Heartbeat", {})
            await self._report_what_changed()

    # --- messages that are not about transactions: sent once ---

    async def attempt(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send a call once; None: there was no usable answer."""
        try:
            return await self.call(action, payload) or {"answered": True}
        except (Unanswered, Refused) as error:
            log.warning("call_failed", charge_point=self.id, action=action, why=str(error))
            return None

    async def notify(self, action: str, payload: Mapping[str, Any]) -> None:
        """Tell the central system something; what it misses is repeated a few times."""
        for _ in range(_NOTICE_ATTEMPTS):
            await self.ready.wait()
            if await self.attempt(action, payload) is not None:
                return
            await asyncio.sleep(max(1, self._settings.retry_interval_s))

    async def report(self, connectors: Sequence[Connector], *, whole: bool) -> None:
        """Send the status of connectors, and of the charge point itself."""
        if whole:
            await self.attempt("StatusNotification", _status(0, self._whole_status, self.now()))
        for connector in connectors:
            await self.report_status(connector)

    async def _report_what_changed(self) -> None:
        for connector in self._connectors:
            if connector.reported != (connector.status, connector.status_time):
                await self.report_status(connector)

    # --- resets ---

    async def _reset(self, kind: str) -> None:
        hard = kind == "Hard"
        patience_s = _HARD_RESET_PATIENCE_S if hard else _SOFT_RESET_PATIENCE_S
        await self._restart(f"{kind}Reset", patience_s)
        if hard:
            await self._hang_up()
        else:
            await self._boot_until_accepted()

    async def _restart(self, reason: str, patience_s: float) -> None:
        """Stop everything; what follows is another boot."""
        log.info("restart", charge_point=self.id, reason=reason)
        self.ready.clear()  # no new car until the next boot
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._stop_all(reason)
        self._registered = False

    async def _hang_up(self) -> None:
        if self._link is not None:
            await self._link.close()

    async def _stop_all(self, reason: str) -> None:
        """Stop what runs, and return when the central system knows it."""
        for connector in self._connectors:
            connector.stop(reason)
        for connector in self._connectors:
            await connector.idle.wait()
        await self.outbox.empty.wait()

    async def _follow_availability(self) -> None:
        """Say that connector 0 changed, as soon as nothing runs any more that keeps it up."""
        wanted = self._operative
        for connector in self._connectors:
            if not wanted:
                await connector.idle.wait()
        status = "Available" if wanted else "Unavailable"
        if wanted == self._operative and status != self._whole_status:
            self._whole_status = status
            await self.report([], whole=True)

    def soon(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Do something beside the conversation, and hold on to it until it is done."""
        if len(self._errands) >= _MOST_ERRANDS:
            log.warning("errand_dropped", charge_point=self.id)
            errand.close()
            return
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
