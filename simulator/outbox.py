"""The transaction messages that the central system has yet to answer, in order.

What happened at a connector happened: StartTransaction, MeterValues and StopTransaction are kept
until they are answered, whether the charge point is online or not, and sent again with the same
content when no answer came (OCPP 1.6 3.7, 4.10).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog

log = structlog.get_logger()

UNKNOWN_TRANSACTION = -1
"""Stands for the id of a transaction whose start the central system never took."""

_LONGEST_RETRY_S = 60.0

Call = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Sends an action with a payload and returns the answer; raises Unanswered or Refused."""


class Unanswered(Exception):
    """There was no usable answer: the line is down, it took too long, or InternalError came."""


class Refused(Exception):
    """The central system answered with a CALLERROR that a repeat will hardly change."""


@dataclass(eq=False)
class Transaction:
    """A transaction as the charge point knows it.

    Attributes:
        id: What the central system calls it; None until the start is answered.
        accepted: Whether the id tag was accepted; True as long as nobody objected.
        answered: Set when the start is answered.
    """

    id: int | None = None
    accepted: bool = True
    answered: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Message:
    """A call about a transaction, without the transactionId, which may not be known yet."""

    action: str
    transaction: Transaction
    payload: Mapping[str, Any]

    def complete_payload(self) -> Mapping[str, Any]:
        """Return the payload as it is sent."""
        if self.action == "StartTransaction":
            return self.payload
        return {**self.payload, "transaction_id": self.transaction.id}


class Outbox:
    """Keeps messages and delivers them one after the other.

    Args:
        size: How many messages are kept. When they are more, the oldest MeterValues goes;
            starts and stops never do. No transaction should begin while there is no `room`.
        attempts: Returns how often a message is sent that is refused.
        retry_interval_s: Returns the pause after the first attempt; later ones are longer.

    Attributes:
        empty: Set while everything is answered.
    """

    def __init__(
        self, size: int, attempts: Callable[[], int], retry_interval_s: Callable[[], float]
    ) -> None:
        self._size, self._attempts, self._retry_interval_s = size, attempts, retry_interval_s
        self._messages: deque[Message] = deque()
        self._changed = asyncio.Event()
        self.empty = asyncio.Event()
        self.empty.set()
        self._delivering: Message | None = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def room(self) -> bool:
        """Whether another transaction may begin."""
        return len(self._messages) < self._size

    def put(self, message: Message) -> None:
        """Keep a message until it is answered."""
        self._messages.append(message)
        if len(self._messages) > self._size:
            self._drop_a_meter_value()
        self.empty.clear()
        self._changed.set()

    async def deliver(self, call: Call) -> NoReturn:
        """Send what is kept, and what comes, until cancelled; unanswered messages stay first."""
        while True:
            while not self._messages:
                self.empty.set()
                self._changed.clear()
                await self._changed.wait()
            self._delivering = self._messages[0]
            await self._deliver_one(self._delivering, call)
            self._delivering = None
            self._messages.popleft()

    async def _deliver_one(self, message: Message, call: Call) -> None:
        attempt = refusals = 0
        while True:
            attempt += 1
            try:
                answer = await call(message.action, message.complete_payload())
            except Unanswered as error:
                log.warning("transaction_message_unanswered", action=message.action, why=str(error))
            except Refused as error:
                refusals += 1
                log.warning("transaction_message_refused", action=message.action, why=str(error))
                if refusals >= self._attempts():
                    self._give_up(message)
                    return
            else:
                _note_answer(message, answer)
                return
            await asyncio.sleep(min(attempt * self._retry_interval_s(), _LONGEST_RETRY_S))

    def _give_up(self, message: Message) -> None:
        log.error("transaction_message_given_up", action=message.action, payload=message.payload)
        if message.action == "StartTransaction":
            message.transaction.id = UNKNOWN_TRANSACTION
            message.transaction.answered.set()

    def _drop_a_meter_value(self) -> None:
        for index, message in enumerate(self._messages):
            if message.action == "MeterValues" and message is not self._delivering:
                del self._messages[index]
                log.warning("meter_values_dropped", kept=len(self._messages))
                return


def _note_answer(message: Message, answer: Mapping[str, Any]) -> None:
    if message.action == "StartTransaction":
        transaction = message.transaction
        transaction.id = answer["transaction_id"]
        transaction.accepted = answer["id_tag_info"]["status"] == "Accepted"
        transaction.answered.set()
