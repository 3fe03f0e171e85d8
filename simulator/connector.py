"""A connector: cars come, charge and go, or a driver far away tells it to."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog

from servicekit.clock import Clock
from simulator.configuration import Configuration
from simulator.outbox import Message, Outbox, Transaction
from simulator.session import (
    Meter,
    Outlet,
    Reading,
    Session,
    idle_reading,
    sampled_values,
)
from simulator.vehicle import Vehicle

log = structlog.get_logger()

_START_PATIENCE_S = 10.0
_TRANSACTION_DATA_SHARE = 0.3
_OWN_REASONS = ("Local", "Local", "EVDisconnected")


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
    ready: asyncio.Event
    """Set while the central system has accepted the charge point."""

    @property
    def online(self) -> bool:
        """Whether calls can be made now."""

    async def report_status(self, connector: "Connector") -> None:
        """Tell the central system the connector's status; now, or when it is back."""

    async def authorize(self, id_tag: str) -> bool:
        """Tell whether an id tag may charge."""


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
        self._remote_id_tag: str | None = None
        self._session: Session | None = None
        self._transaction: Transaction | None = None
        self._stop_reason: str | None = None
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
        return self._session is not None or self._remote_id_tag is not None

    async def run(self) -> None:
        """Serve cars until cancelled."""
        while True:
            id_tag = await self._next_driver()
            await self._serve(id_tag or self._chance.choice(self._id_tags), remote=id_tag)
            await self._set_status("Available" if self._operative else "Unavailable")

    def start_remotely(self, id_tag: str) -> bool:
        """Begin a session for a driver far away; False: the connector cannot."""
        if self.busy or not self._operative:
            return False
        self._remote_id_tag = id_tag
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
        self._woken.set()
        return "Scheduled" if self.busy and not operative else "Accepted"

    def meter_value(self, context: str) -> dict[str, Any]:
        """Return what is measured now, as a MeterValue."""
        reading = self._session.read() if self._session else idle_reading(self._meter)
        return self._meter_value(reading, context)

    async def _next_driver(self) -> str | None:
        """Wait for a car; return the id tag of a remote start, None for a driver who came."""
        pause_s = self._chance.uniform(*self._pace.pause_s)
        while True:
            woken = self._remote_id_tag is not None or await self._sleep(pause_s)
            await self._station.ready.wait()
            if not self._operative or self.status == "Unavailable":
                await self._set_status("Available" if self._operative else "Unavailable")
            elif self._remote_id_tag is not None:
                return self._remote_id_tag
            elif not woken and self._station.outbox.room:
                return None

    async def _serve(self, id_tag: str, remote: str | None) -> None:
        self._session = Session(
            _some_vehicle(self._chance, self.outlet),
            self.outlet,
            self._meter,
            stay_s=self._chance.uniform(2400, 4800),
        )
        self._remote_id_tag, self._stop_reason = None, None
        self.idle.clear()
        try:
            await self._set_status("Preparing")
            if remote or await self._station.authorize(id_tag):
                await self._charge(self._session, id_tag)
        finally:
            self._session, self._transaction = None, None
            self.idle.set()

    async def _charge(self, session: Session, id_tag: str) -> None:
        transaction = self._transaction = Transaction()
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
            await self._set_status("SuspendedEV" if session.suspended else "Charging")
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
        payload = {
            "connector_id": self.number,
            "id_tag": id_tag,
            "meter_start": self._meter.reading_wh,
            "timestamp": ocpp_time(self._clock.now()),
        }
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
        samples = sampled_values(reading, context)
        return {"timestamp": ocpp_time(self._clock.now()), "sampled_value": samples}

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


def ocpp_time(moment: datetime) -> str:
    """Return a time as OCPP writes it, with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _some_vehicle(chance: random.Random, outlet: Outlet) -> Vehicle:
    capacity_wh = chance.choice((28_000, 42_000, 58_000, 77_000))
    return Vehicle(
        capacity_wh=capacity_wh,
        energy_wh=capacity_wh * chance.uniform(0.15, 0.75),
        max_power_w=chance.choice((50_000, 110_000)) if outlet.dc else 11_000,
        target=chance.choice((0.8, 0.9, 1.0)),
        phases=3,
    )
