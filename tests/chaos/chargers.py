"""Charge points that behave sensibly, over real sockets, whatever happens to the platform.

One call at a time. After a CALLERROR, a time-out or a dropped line the same fact is sent again,
unchanged and under a new message id, until it is answered.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.chaos.facts import Fact, Ledger, Traffic, Transaction
from tests.support.charge_points import CLOSE_TIMEOUT_S, OCPP_1_6, ocpp_now, socket_url

PATIENCE_S = 15.0
"""A charge point waits so long for an answer; longer than the gateway has a service try."""
HANDSHAKE_S = 10.0
REASONS = ("Local", "Remote", "EVDisconnected", "PowerLoss", "DeAuthorized", None)


@dataclass(frozen=True)
class Habits:
    """How a charge point deviates from the shortest way.

    Attributes:
        drops: Share of the facts whose line it drops right after their first frame.
        repeats: Share of the facts that it sends again though they are answered.
        pause_s: Most seconds between two facts.
    """

    drops: float = 0.03
    repeats: float = 0.1
    pause_s: float = 0.1


class Charger:
    """One charge point; all that it does at random comes from the seed.

    Args:
        ocpp_url: Where to connect.
        charge_point_id: Its identity; its id tag has the same name.
        seed: What, together with the identity, decides what it does.
        traffic: Is told of each frame.
        habits: How it behaves.
    """

    def __init__(
        self,
        ocpp_url: str,
        charge_point_id: str,
        *,
        seed: int = 0,
        traffic: Traffic | None = None,
        habits: Habits | None = None,
    ) -> None:
        self.ledger = Ledger(charge_point_id)
        self.id_tag = charge_point_id
        self.clock_offset = timedelta(0)
        self._url = socket_url(ocpp_url, charge_point_id)
        self._random = random.Random(f"{seed} {charge_point_id}")
        self._traffic, self._habits = traffic or Traffic(), habits or Habits()
        self._line: ClientConnection | None = None
        self._asked: dict[str, Fact] = {}
        self._message_ids = itertools.count(1)
        self._numbers = itertools.count(1)
        self.meter_wh = self._random.randrange(10_000_000)

    # --- what it does

    async def boot(self) -> None:
        """Boot; a boot that is rejected for the moment is sent again."""
        while True:
            fact = await self.tell(
                "BootNotification", chargePointVendor="Acme", chargePointModel="C"
            )
            if fact.answers[-1]["status"] == "Accepted":
                return

    async def charge_until(self, enough: asyncio.Event) -> None:
        """Charge again and again; the last transaction is brought to its end."""
        await self.boot()
        while not enough.is_set():
            await self.charge(self._random.randint(2, 12))
        await self.hang_up()

    async def charge(self, values: int) -> Transaction:
        """Charge once, reporting the meter so many times."""
        transaction = await self.start(connector_id=self._random.choice((1, 2)))
        for _ in range(values):
            await self.measure(transaction)
            if self._random.random() < 0.3:
                await self.notify(transaction.start.payload["connectorId"], "Charging")
            if self._random.random() < 0.2:
                await self.transfer()
        await self.stop(transaction)
        return transaction

    async def start(self, connector_id: int = 1) -> Transaction:
        """Start a transaction; no other begins with the same meter."""
        fact = self._new(
            "StartTransaction",
            connectorId=connector_id,
            idTag=self.id_tag,
            meterStart=self._reading(),
            timestamp=ocpp_now(self.clock_offset),
        )
        transaction = Transaction(fact)
        self.ledger.transactions.append(transaction)
        await self._until_answered(fact)
        return transaction

    async def measure(self, transaction: Transaction) -> Fact:
        """Report the meter; the reading is the number of the value."""
        return await self.tell(
            "MeterValues",
            connectorId=transaction.start.payload["connectorId"],
            transactionId=transaction.id,
            meterValue=[self._value(transaction) for _ in range(self._random.randint(1, 2))],
        )

    async def notify(self, connector_id: int, status: str) -> Fact:
        """Report a status; its `info` is its number."""
        return await self.tell(
            "StatusNotification",
            connectorId=connector_id,
            errorCode="NoError",
            status=status,
            info=f"status {next(self._numbers)}",
            timestamp=ocpp_now(self.clock_offset),
        )

    async def transfer(self) -> Fact:
        """Send data of a vendor; they are their number."""
        data = f"data {next(self._numbers)}"
        return await self.tell("DataTransfer", vendorId="org.example", data=data)

    async def stop(self, transaction: Transaction) -> Fact:
        """Stop a transaction, now and then with values of the meter."""
        more: dict[str, Any] = {}
        if self._random.random() < 0.3:
            more["transactionData"] = [self._value(transaction)]
        if reason := self._random.choice(REASONS):
            more["reason"] = reason
        transaction.stop = self._new(
            "StopTransaction",
            transactionId=transaction.id,
            meterStop=self._reading(),
            timestamp=ocpp_now(self.clock_offset),
            **more,
        )
        await self._until_answered(transaction.stop)
        return transaction.stop

    async def tell(self, action: str, **payload: Any) -> Fact:
        """Send a fact until it is answered."""
        fact = self._new(action, **payload)
        await self._until_answered(fact)
        return fact

    async def hang_up(self) -> None:
        """Close the line in order."""
        if self._line is not None:
            await self._line.close()
            self._line = None

    # --- how it says it

    def _new(self, action: str, **payload: Any) -> Fact:
        fact = Fact(action, payload)
        self.ledger.facts.append(fact)
        return fact

    def _reading(self) -> int:
        self.meter_wh += self._random.randint(1, 400)
        return self.meter_wh

    def _value(self, transaction: Transaction) -> dict[str, Any]:
        reading = self._reading()
        transaction.readings.append(reading)
        return meter_value(reading, ocpp_now(self.clock_offset))

    async def _until_answered(self, fact: Fact) -> None:
        began = time.monotonic()
        while not fact.answers:
            await self._attempt(fact)
        fact.answered_s = time.monotonic() - began
        if self._random.random() < self._habits.repeats:
            await self._attempt(fact)
        await asyncio.sleep(self._random.random() * self._habits.pause_s)

    async def _attempt(self, fact: Fact) -> None:
        """Send a fact once; without a CALLRESULT in the end, pause as charge points do."""
        answers = len(fact.answers)
        try:
            line = await self._connected()
            async with asyncio.timeout(PATIENCE_S):
                await self._ask(line, fact)
        except TimeoutError:
            pass
        except (OSError, WebSocketException):
            self._line = None
        if len(fact.answers) == answers:
            await asyncio.sleep(self._random.uniform(0.1, 0.8))

    async def _connected(self) -> ClientConnection:
        if self._line is None:
            self._line = await connect(
                self._url,
                subprotocols=[OCPP_1_6],
                proxy=None,
                open_timeout=HANDSHAKE_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,
            )
        return self._line

    async def _ask(self, line: ClientConnection, fact: Fact) -> None:
        message_id = await self._send(line, fact)
        if fact.sent == 1 and self._random.random() < self._habits.drops:
            line.transport.abort()
        while not self._take(json.loads(await line.recv()), message_id):
            pass

    async def _send(self, line: ClientConnection, fact: Fact, message_id: str = "") -> str:
        message_id = message_id or str(next(self._message_ids))
        self._asked[message_id] = fact
        fact.sent += 1
        await line.send(json.dumps([2, message_id, fact.action, fact.payload]))
        self._traffic.count()
        return message_id

    def _take(self, frame: Any, wanted: str) -> bool:
        """Note an answer, a late one too; tell whether it is the one that is waited for."""
        fact = self._asked[frame[1]]
        if frame[0] == 3:
            fact.answers.append(frame[2])
        else:
            fact.refused += 1
        return bool(frame[1] == wanted)


def meter_value(reading: int, timestamp: str) -> dict[str, Any]:
    """Return a value of the energy register in Wh and one that is no number to count."""
    register = {"value": str(reading), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    voltage = {"value": "230.1", "measurand": "Voltage", "unit": "V", "phase": "L1-N"}
    return {"timestamp": timestamp, "sampledValue": [register, voltage]}


async def end(charging: Iterable["asyncio.Task[None]"]) -> None:
    """End what still runs, after a failure."""
    for task in charging:
        task.cancel()
    await asyncio.gather(*charging, return_exceptions=True)
