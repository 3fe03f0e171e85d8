"""The commands under way on one socket."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from csms.gateway.v1.gateway_link_pb2 import CommandResult, DeliverCommand
from gateway.ocppj.connection import CallSent, Connection, Event, TooManyPendingCalls
from gateway.ocppj.frames import CallError, CallResult, Malformed
from gateway.outcomes import (
    AnswerUnreadable,
    CommandAnswerTimeout,
    CommandExpired,
    ConnectionLost,
    Outcomes,
    TooManyPendingCommands,
    unreadable_frame,
)
from servicekit.clock import Clock
from servicekit.errors import PlatformError
from servicekit.timestamps import to_datetime

_LOST = "The connection ended before the charge point answered."


@dataclass(slots=True)
class _Delivery:
    written: asyncio.Future[datetime]
    answer: asyncio.Future[CallResult | CallError]

    @property
    def sent(self) -> bool:
        """Whether the command may have reached the charge point."""
        future = self.written
        return future.done() and not future.cancelled() and future.exception() is None


class Deliveries:
    """Sends commands one by one and waits for their answers.

    Args:
        protocol: The call slots of the socket.
        push: Handles the events of the protocol and sends what it has to send.
        begun: Is called when the charge point will owe us an answer.
        quarantine: Keeps an answer that cannot be understood.
        outcomes: Translates.
        clock: The time of day.
    """

    def __init__(
        self,
        protocol: Connection,
        *,
        push: Callable[[Sequence[Event]], None],
        begun: Callable[[], None],
        quarantine: Callable[[Malformed], None],
        outcomes: Outcomes,
        clock: Clock,
    ) -> None:
        self._protocol, self._push, self._begun = protocol, push, begun
        self._quarantine = quarantine
        self._outcomes, self._clock = outcomes, clock
        self._waiting: dict[str, _Delivery] = {}
        self._unwritten: deque[str] = deque()
        self._lost = False

    @property
    def under_way(self) -> bool:
        """Whether the charge point owes us an answer."""
        return bool(self._waiting)

    async def deliver(
        self, command: DeliverCommand, on_sent: Callable[[datetime], None]
    ) -> CommandResult:
        """Send a command and return what came of it, never later than its two deadlines allow."""
        loop = asyncio.get_running_loop()
        delivery = _Delivery(loop.create_future(), loop.create_future())
        message_id = str(uuid.uuid4())
        try:
            return await self._deliver(command, message_id, delivery, on_sent)
        except PlatformError as error:
            return self._outcomes.failed(command.command_id, error, sent=delivery.sent)
        finally:
            self._waiting.pop(message_id, None)
            self._push(self._protocol.expire_call(message_id))

    def announce(self, sent: CallSent) -> None:
        """Take note that a call is among the texts that are written next."""
        self._unwritten.append(sent.message_id)

    def may_write(self) -> bool:
        """Tell whether the next call may still be written; from here on it counts as sent."""
        delivery = self._waiting.get(self._unwritten.popleft())
        if delivery is None or delivery.written.done():
            return False
        delivery.written.set_result(self._clock.now())
        return True

    def take(self, answer: CallResult | CallError) -> None:
        """Hand an answer to the command that waits for it."""
        delivery = self._waiting.get(answer.message_id)
        if delivery is not None and not delivery.answer.done():
            delivery.answer.set_result(answer)

    def lose_all(self) -> None:
        """End every command: the socket is closed."""
        self._lost = True
        for delivery in self._waiting.values():
            waited_for = delivery.answer if delivery.sent else delivery.written
            if not waited_for.done():
                waited_for.set_exception(ConnectionLost(_LOST))

    async def _deliver(
        self,
        command: DeliverCommand,
        message_id: str,
        delivery: _Delivery,
        on_sent: Callable[[datetime], None],
    ) -> CommandResult:
        action = self._outcomes.action_of(command)
        payload = self._outcomes.payload_of(action, command)
        self._begin(command, message_id, delivery)
        try:
            self._push(self._protocol.call(message_id, action, payload))
        except TooManyPendingCalls:
            raise TooManyPendingCommands("Too many calls wait for the charge point.") from None
        on_sent(await self._written(command, delivery))
        return self._result(command, action, await self._answer(command, delivery))

    def _begin(self, command: DeliverCommand, message_id: str, delivery: _Delivery) -> None:
        if self._lost:
            raise ConnectionLost(_LOST)
        if self._time_left(command) <= 0:
            raise _expired()
        self._waiting[message_id] = delivery
        self._begun()

    async def _written(self, command: DeliverCommand, delivery: _Delivery) -> datetime:
        try:
            async with asyncio.timeout(self._time_left(command)):
                return await delivery.written
        except TimeoutError:
            raise _expired() from None

    async def _answer(self, command: DeliverCommand, delivery: _Delivery) -> CallResult | CallError:
        patience = command.answer_timeout.ToTimedelta().total_seconds()
        try:
            async with asyncio.timeout(patience):
                return await delivery.answer
        except TimeoutError:
            raise CommandAnswerTimeout(
                f"The charge point did not answer within {patience:g} seconds."
            ) from None

    def _result(
        self, command: DeliverCommand, action: str, answer: CallResult | CallError
    ) -> CommandResult:
        try:
            return self._outcomes.answered(command.command_id, action, answer)
        except AnswerUnreadable as error:
            self._quarantine(unreadable_frame(action, answer, error.message))
            raise

    def _time_left(self, command: DeliverCommand) -> float:
        return (to_datetime(command.expire_time) - self._clock.now()).total_seconds()


def _expired() -> CommandExpired:
    return CommandExpired("The command could not be sent before its expire time.")
