"""A connector: cars come, charge and go, or a driver far away tells it to."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog

from servicekit.clock import Clock
from simulator.authorization import Authorizer
from simulator.charging_profiles import ChargingProfiles
from simulator.configuration import Configuration
from simulator.local_list import Authorization
from simulator.outbox import Message, Outbox, Transaction
from simulator.reservations import Reservation, Reservations
from simulator.schedules import Profile
from simulator.session import (
    Meter,
    Outlet,
    Reading,
    Session,
    idle_reading,
    sampled_values,
)
from simulator.times import ocpp_time
from simulator.vehicle import Vehicle

log = structlog.get_logger()

_START_PATIENCE_S = 10.0
_TRANSACTION_DATA_SHARE = 0.3
_OWN_REASONS = ("Local", "Local", "EVDisconnected")


@dataclass(frozen=True)
class Driver:
    """Somebody who wants to charge.

    Attributes:
        id_tag: The tag.
        remote: Whether the central system started this.
        profile: The TxProfile that it gave along.
    """

    id_tag: str
    remote: bool = False
    profile: Profile | None = None


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast life goes.

    Attributes:
        speed: Seconds of charging in a second of the clock.
        pause_s: Shortest and longest time between two cars, in seconds of the clock.
    """

    speed: float
    pause_s: tuple[float, float]


class Station(Protocol):
    """What a connector needs of the charge point that it belongs to."""

    id: str
    outbox: Outbox
    configuration: Configuration
    authorizer: Authorizer
    reservations: Reservations
    profiles: ChargingProfiles
    ready: asyncio.Event
    """Set while the central system has accepted the charge point."""

    @property
    def online(self) -> bool:
        """Whether calls can be made now."""

    async def report_status(self, connector: "Connector") -> None:
        """Tell the central system the connector's status; now, or when it is back."""

    def limit_w(self, connector_id: int) -> float | None:
        """Return what charging profiles allow the connector now; None is everything."""

    def barred(self, connector_id: int, id_tag: str, parent_id_tag: str | None) -> bool:
        """Tell whether reservations of others keep a tag from a connector."""


class Connector:
    """Serves one car after the other.

    Args:
        number: The connectorId, from 1.
        outlet: What it can give.
        meter: Its meter.
        station: The charge point.
        id_tags: The tags that its drivers carry.
        pace: How fast life goes.
        clock: Tells the time that is reported.
        chance: Decides which car comes, when and for how long.

    Attributes:
        status: Its ChargePointStatus, since `status_time`.
        reported: The status and its time that the central system knows.
        idle: Set while no car charges.
    """

    def __init__(
        self,
        *,
        number: int,
        outlet: Outlet,
        meter: Meter,
        station: Station,
        id_tags: Sequence[str],
        pace: Pace,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self.number, self.outlet = number, outlet
        self.status, self.status_time = "Available", clock.now()
        self.reported: tuple[str, datetime] | None = None
        self._meter, self._station, self._id_tags = meter, station, id_tags
        self._pace, self._clock, self._chance = pace, clock, chance
        self._operative = True
        self._remote: Driver | None = None
        self._session: Session | None = None
        self._transaction: Transaction | None = None
        self._stop_reason: str | None = None
        self._reservation: Reservation | None = None
        self._woken = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def transaction(self) -> Transaction | None:
        """The transaction that runs."""
        return self._transaction

    @property
    def busy(self) -> bool:
        """Whether a car is at the connector, or its driver is on the way."""
        return not self.idle.is_set() or self._remote is not None

    @property
    def charging(self) -> bool:
        """Whether a transaction runs that is not being ended."""
        return self._session is not None and self._transaction is not None

    @property
    def operative(self) -> bool:
        """Whether it is in service."""
        return self._operative

    async def run(self) -> None:
        """Serve cars until cancelled."""
        while True:
            await self._serve(await self._next_driver())
            await self._set_status(self._resting_status())

    def start_remotely(self, driver: Driver) -> bool:
        """Begin a session for a driver far away; False: the connector cannot."""
        if self.busy or not self._operative:
            return False
        if driver.profile and not self._station.profiles.fits(self.number, driver.profile):
            return False
        group = self._station.authorizer.group_of(driver.id_tag)
        if self._station.barred(self.number, driver.id_tag, group):
            return False
        self._remote = driver
        self._woken.set()
        return True

    def stop(self, reason: str) -> bool:
        """End the session with a Reason of StopTransaction; False: there is none."""
        if self._session is None:
            return False
        self._stop_reason = reason
        self._woken.set()
        return True

    def change_availability(self, *, operative: bool) -> str:
        """Take the connector in or out of service; return the AvailabilityStatus."""
        self._operative = operative
        self.look_again()
        return "Scheduled" if self.busy and not operative else "Accepted"

    def look_again(self) -> None:
        """Take note soon of reservations, charging profiles and the like that changed."""
        self._woken.set()

    def meter_value(self, context: str) -> dict[str, Any]:
        """Return what is measured now, as a MeterValue."""
        reading = self._session.read() if self._session else idle_reading(self._meter)
        return self._meter_value(reading, context)

    async def _next_driver(self) -> Driver:
        """Wait for somebody who wants to charge, here or far away."""
        pause_s = self._chance.uniform(*self._pace.pause_s)
        while True:
            woken = self._remote is not None or await self._sleep(pause_s)
            await self._station.ready.wait()
            if self._remote is not None:
                return self._remote
            await self._set_status(self._resting_status())
            if self._operative and not woken and self._station.outbox.room:
                return Driver(self._chance.choice(self._expected_id_tags()))

    def _expected_id_tags(self) -> Sequence[str]:
        """Return the tags of drivers who may come; if one of them has reserved, it is this one."""
        reserved = self._station.reservations.of(self.number)
        expected = [tag for tag in self._id_tags for one in reserved if one.admits(tag, None)]
        return expected or self._id_tags

    def _resting_status(self) -> str:
        if not self._operative:
            return "Unavailable"
        return "Reserved" if self._station.reservations.of(self.number) else "Available"

    async def _serve(self, driver: Driver) -> None:
        self._session = Session(
            _some_vehicle(self._chance, self.outlet),
            self.outlet,
            self._meter,
            stay_s=self._chance.uniform(2400, 4800),
        )
        self._remote, self._stop_reason = None, None
        self.idle.clear()
        try:
            if not self._station.reservations.of(self.number):  # else nobody is let in yet
                await self._set_status("Preparing")
            if await self._admit(driver) and self._stop_reason is None:
                await self._charge(self._session, driver)
        finally:
            self._session, self._transaction = None, None
            self.idle.set()

    async def _admit(self, driver: Driver) -> bool:
        authorizer, id_tag = self._station.authorizer, driver.id_tag
        asks = self._station.configuration.enabled("AuthorizeRemoteTxRequests")
        if not driver.remote or asks:
            grant = await authorizer.authorize(id_tag)
        else:
            grant = Authorization(accepted=True, parent_id_tag=authorizer.group_of(id_tag))
        if not grant.accepted or self._station.barred(self.number, id_tag, grant.parent_id_tag):
            return False
        self._reservation = self._station.reservations.use(self.number, id_tag, grant.parent_id_tag)
        return True

    async def _charge(self, session: Session, driver: Driver) -> None:
        id_tag = driver.id_tag
        await self._set_status("Preparing")
        transaction = self._transaction = Transaction()
        self._station.profiles.begin(self.number, self._clock.now())
        if driver.profile is not None:
            self._station.profiles.install(self.number, driver.profile)
        self._send_start(transaction, id_tag)
        await self._wait_for_the_answer(transaction)
        log.info(
            "session_started",
            charge_point=self._station.id,
            connector=self.number,
            transaction=transaction.id,
            id_tag=id_tag,
        )
        begin = self._meter_value(session.read(), "Transaction.Begin")
        reason = await self._deliver_energy(session, transaction)
        await self._set_status("Finishing")
        self._send_stop(transaction, id_tag, reason, begin)
        log.info(
            "session_stopped",
            charge_point=self._station.id,
            connector=self.number,
            transaction=transaction.id,
            energy_wh=self._meter.reading_wh - session.meter_start_wh,
            reason=reason,
        )
        self._session = None  # from here on a stop comes too late
        self._station.profiles.end(self.number)
        self.idle.set()
        await self._sleep(self._chance.uniform(1, 3))

    async def _wait_for_the_answer(self, transaction: Transaction) -> None:
        """Give the answer to the start a while; offline, the car is not kept waiting."""
        try:
            async with asyncio.timeout(_START_PATIENCE_S if self._station.online else 0):
                await transaction.answered.wait()
        except TimeoutError:
            return

    async def _deliver_energy(self, session: Session, transaction: Transaction) -> str:
        """Charge until something ends it; return the Reason."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while transaction.accepted and not session.over:
            session.limit_w = self._station.limit_w(self.number)
            await self._set_status(_charging_status(session))
            if self._stop_reason is None:
                await self._sleep(self._station.configuration.number("MeterValueSampleInterval"))
            now = loop.time()
            session.advance((now - before) * self._pace.speed)
            before = now
            if self._stop_reason is not None:
                return self._stop_reason
            self._send_meter_values(session, transaction)
        return self._chance.choice(_OWN_REASONS) if transaction.accepted else "DeAuthorized"

    def _send_start(self, transaction: Transaction, id_tag: str) -> None:
        payload: dict[str, Any] = {
            "connector_id": self.number,
            "id_tag": id_tag,
            "meter_start": self._meter.reading_wh,
            "timestamp": ocpp_time(self._clock.now()),
        }
        if self._reservation is not None:
            payload["reservation_id"] = self._reservation.id
        self._put("StartTransaction", transaction, payload)

    def _send_meter_values(self, session: Session, transaction: Transaction) -> None:
        value = self._meter_value(session.read(), "Sample.Periodic")
        payload = {"connector_id": self.number, "meter_value": [value]}
        self._put("MeterValues", transaction, payload)

    def _send_stop(
        self, transaction: Transaction, id_tag: str, reason: str, begin: dict[str, Any]
    ) -> None:
        payload: dict[str, Any] = {
            "meter_stop": self._meter.reading_wh,
            "timestamp": ocpp_time(self._clock.now()),
            "reason": reason,
        }
        if reason == "Local":
            payload["id_tag"] = id_tag
        if self._chance.random() < _TRANSACTION_DATA_SHARE:
            payload["transaction_data"] = [begin, self.meter_value("Transaction.End")]
        self._put("StopTransaction", transaction, payload)

    def _put(self, action: str, transaction: Transaction, payload: Mapping[str, Any]) -> None:
        self._station.outbox.put(Message(action, transaction, payload))

    def _meter_value(self, reading: Reading, context: str) -> dict[str, Any]:
        chosen = self._station.configuration.words("MeterValuesSampledData")
        samples = sampled_values(reading, context)
        wanted = [sample for sample in samples if sample["measurand"] in chosen]
        return {
            "timestamp": ocpp_time(self._clock.now()),
            "sampled_value": wanted or samples[:1],  # a MeterValue has at least one
        }

    async def _set_status(self, status: str) -> None:
        if status != self.status:
            self.status, self.status_time = status, self._clock.now()
            await self._station.report_status(self)

    async def _sleep(self, seconds: float) -> bool:
        """Wait; return True at once when somebody wants something."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


def _charging_status(session: Session) -> str:
    if session.held_back:
        return "SuspendedEVSE"
    return "SuspendedEV" if session.suspended else "Charging"


def _some_vehicle(chance: random.Random, outlet: Outlet) -> Vehicle:
    capacity_wh = chance.choice((28_000, 42_000, 58_000, 77_000))
    return Vehicle(
        capacity_wh=capacity_wh,
        energy_wh=capacity_wh * chance.uniform(0.15, 0.75),
        max_power_w=chance.choice((50_000, 110_000)) if outlet.dc else 11_000,
        target=chance.choice((0.8, 0.9, 1.0)),
        phases=3,
    )
