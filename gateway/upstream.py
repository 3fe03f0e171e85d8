"""The gateway's side of the services: one batched call stream to each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointAnswer
from gateway.routing import Service
from servicekit.calls.client import CallClient, Outcome
from servicekit.errors import PlatformError, QueueFull
from servicekit.status import reason_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_BACKGROUND_REPORTS: Final = 1000
_LAST_REPORTS_S: Final = 2


class NotAnswered(NamedTuple):
    """Says in a constant word why a service gave no answer."""

    reason: str


Answered: TypeAlias = Callable[[ChargePointAnswer | NotAnswered], None]


class Origin(NamedTuple):
    """Whence a call came."""

    charge_point_id: str
    connection_id: str
    message_id: str
    receive_time: datetime


class Upstreams:
    """Asks the services and tells them what the gateway saw.

    Nothing here waits: what comes of a call is given to a callback, later than the method returns.

    Args:
        clients: The call stream to each service.
        timeout: How long a service has for an answer.
    """

    def __init__(self, clients: Mapping[Service, CallClient], timeout: timedelta) -> None:
        self._clients, self._timeout = clients, timeout
        self._reports = 0
        self._all_told = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the streams for the length of the block."""
        tasks = [asyncio.create_task(client.run()) for client in self._clients.values()]
        try:
            yield
        finally:
            await self._tell_the_last()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def new_call(self, origin: Origin, **payload: Any) -> call_pb2.Call:
        """Return a call.

        Args:
            origin: Whence it comes.
            payload: Fields of `Call`, as its constructor takes them.
        """
        charge_point_id, connection_id, message_id, receive_time = origin
        call = call_pb2.Call(
            charge_point_id=charge_point_id,
            connection_id=connection_id,
            message_id=message_id,
            **payload,
        )
        _set(call.receive_time, receive_time)
        _set(call.expire_time, receive_time + self._timeout)
        return call

    def ask(self, service: Service, call: call_pb2.Call, done: Answered, rest: bytes = b"") -> None:
        """Give a service's response to a charge point's request to `done`.

        Args:
            service: The service.
            call: The call.
            done: Takes the response.
            rest: Fields that the call lacks, as protobuf writes them.
        """
        self._clients[service].send(call, lambda outcome: done(_response(outcome)), rest)

    def tell(self, service: Service, call: call_pb2.Call, done: Callable[[bool], None]) -> None:
        """Report what the gateway saw; tell `done` whether the service has stored it."""
        self._clients[service].send(call, lambda outcome: done(_is_stored(outcome)))

    def tell_later(self, service: Service, call: call_pb2.Call) -> None:
        """Report in the background.

        Raises:
            QueueFull: Too many reports are under way; what was seen has to be logged instead.
        """
        if self._reports >= _MAX_BACKGROUND_REPORTS:
            raise QueueFull("Too many reports are under way.")
        self._reports += 1
        self.tell(service, call, self._told)

    def _told(self, _: bool) -> None:
        self._reports -= 1
        if not self._reports:
            self._all_told.set()

    async def _tell_the_last(self) -> None:
        self._all_told.clear()
        if self._reports:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_told.wait(), _LAST_REPORTS_S)


def _response(outcome: Outcome) -> ChargePointAnswer | NotAnswered:
    if isinstance(outcome, PlatformError):
        return NotAnswered(outcome.reason)
    if outcome.WhichOneof("outcome") != "response":
        return NotAnswered(_reason(outcome.error))
    return outcome.response


def _is_stored(outcome: Outcome) -> bool:
    if isinstance(outcome, PlatformError):
        return False
    return outcome.WhichOneof("outcome") == "report_stored"


def _set(timestamp: Timestamp, time: datetime) -> None:
    since = time - _EPOCH
    timestamp.seconds = since.days * 86_400 + since.seconds
    timestamp.nanos = since.microseconds * 1000


def _reason(status: Status) -> str:
    return reason_of(status) or "UNKNOWN"
