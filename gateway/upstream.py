"""The gateway's side of the services: one batched call stream to each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointAnswer
from gateway.routing import Service
from servicekit.calls.client import CallClient
from servicekit.clock import Clock
from servicekit.errors import PlatformError, QueueFull
from servicekit.status import reason_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_BACKGROUND_REPORTS = 1000
_LAST_REPORTS_S = 2


class NotAnswered(Exception):
    """A service gave no answer; says why in a constant word."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whence a call came."""

    charge_point_id: str
    connection_id: str
    message_id: str
    receive_time: datetime


class Upstreams:
    """Asks the services and tells them what the gateway saw.

    Args:
        clients: The call stream to each service.
        clock: The time of day.
        timeout: How long a service has for an answer.
    """

    def __init__(
        self, clients: Mapping[Service, CallClient], clock: Clock, timeout: timedelta
    ) -> None:
        self._clients, self._clock, self._timeout = clients, clock, timeout
        self._reports: set[asyncio.Task[bool]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the streams for the length of the block."""
        tasks = [asyncio.create_task(client.run()) for client in self._clients.values()]
        try:
            yield
        finally:
            if self._reports:
                await asyncio.wait(set(self._reports), timeout=_LAST_REPORTS_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def new_call(self, origin: Origin) -> call_pb2.Call:
        """Return a call that lacks its payload."""
        return call_pb2.Call(
            charge_point_id=origin.charge_point_id,
            connection_id=origin.connection_id,
            message_id=origin.message_id,
            receive_time=_timestamp(origin.receive_time),
            expire_time=_timestamp(self._clock.now() + self._timeout),
        )

    async def ask(self, service: Service, call: call_pb2.Call) -> ChargePointAnswer:
        """Return a service's response to a charge point's request.

        Raises:
            NotAnswered: There was none in time, or the service failed.
        """
        try:
            answer = await self._clients[service].call(call)
        except PlatformError as error:
            raise NotAnswered(error.reason) from None
        if answer.WhichOneof("outcome") != "response":
            raise NotAnswered(_reason(answer.error))
        return answer.response

    async def tell(self, service: Service, call: call_pb2.Call) -> bool:
        """Report what the gateway saw; tell whether the service has stored it."""
        try:
            answer = await self._clients[service].call(call)
        except PlatformError:
            return False
        return answer.WhichOneof("outcome") == "report_stored"

    def tell_later(self, service: Service, call: call_pb2.Call) -> None:
        """Report in the background.

        Raises:
            QueueFull: Too many reports are under way; what was seen has to be logged instead.
        """
        if len(self._reports) >= _MAX_BACKGROUND_REPORTS:
            raise QueueFull("Too many reports are under way.")
        task = asyncio.create_task(self.tell(service, call))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)


def _timestamp(time: datetime) -> Timestamp:
    since = time - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return Timestamp(seconds=seconds, nanos=since.microseconds * 1000)


def _reason(status: Status) -> str:
    return reason_of(status) or "UNKNOWN"
