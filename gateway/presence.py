"""Tells device_service which charge points are connected and which were heard."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog

from csms.gateway.v1 import call_pb2
from gateway.routing import Service
from gateway.upstream import Origin, Upstreams
from servicekit.backoff import Backoff
from servicekit.clock import Clock
from servicekit.timestamps import to_timestamp

log = structlog.get_logger()


@dataclass(frozen=True)
class Gateway:
    """This gateway: its name for people, and the id of its process."""

    gateway_id: str
    instance_id: str


@dataclass(frozen=True)
class Opened:
    """A connection that was accepted."""

    charge_point_id: str
    connection_id: str
    remote_address: str
    subprotocol: str
    open_time: datetime


class Presence:
    """Reports connections until device_service has them, and beats.

    Args:
        gateway: This gateway.
        upstreams: The services.
        clock: The time of day.
        beat_interval_s: Seconds between two beats.
    """

    def __init__(
        self, gateway: Gateway, upstreams: Upstreams, clock: Clock, beat_interval_s: float
    ) -> None:
        self._gateway, self._upstreams, self._clock = gateway, upstreams, clock
        self._beat_interval_s = beat_interval_s
        self._seen: dict[str, datetime] = {}

    def seen(self, charge_point_id: str, time: datetime) -> None:
        """Note that a charge point was heard; told with the next beat."""
        self._seen[charge_point_id] = time

    async def opened(self, connection: Opened) -> None:
        """Report a new connection, again and again until it is stored."""
        call = self._new_call(connection)
        call.connection_opened.gateway_id = self._gateway.gateway_id
        call.connection_opened.gateway_instance_id = self._gateway.instance_id
        call.connection_opened.remote_address = connection.remote_address
        call.connection_opened.subprotocol = connection.subprotocol
        await self._persist(call)

    async def closed(self, connection: Opened, code: int, reason: str) -> None:
        """Report the end of a connection, again and again until it is stored."""
        call = self._new_call(connection)
        call.connection_closed.close_code = code
        call.connection_closed.reason = reason
        await self._persist(call)

    async def beat_forever(self) -> None:
        """Beat until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(self._beat_interval_s)

    async def beat(self) -> None:
        """Tell that the gateway lives, and which charge points were heard since the last beat."""
        heard, self._seen = self._seen, {}
        now = self._clock.now()
        call = self._upstreams.new_call(Origin("", "", "", now))
        call.gateway_beat.gateway_id = self._gateway.gateway_id
        call.gateway_beat.gateway_instance_id = self._gateway.instance_id
        for charge_point_id, time in heard.items():
            call.gateway_beat.charge_points_seen.add(
                charge_point_id=charge_point_id, last_seen_time=to_timestamp(time)
            )
        if not await self._upstreams.tell(Service.DEVICE, call):
            self._seen = heard | self._seen

    async def _persist(self, call: call_pb2.Call) -> None:
        backoff = Backoff(first=1, most=30)
        while not await self._upstreams.tell(Service.DEVICE, call):
            log.warning("presence_not_stored", charge_point=call.charge_point_id)
            await asyncio.sleep(backoff.next_delay())
            call = self._renewed(call)

    def _renewed(self, call: call_pb2.Call) -> call_pb2.Call:
        origin = Origin(call.charge_point_id, call.connection_id, "", self._clock.now())
        renewed = self._upstreams.new_call(origin)
        renewed.receive_time.CopyFrom(call.receive_time)
        payload = call.WhichOneof("payload")
        assert payload is not None
        getattr(renewed, payload).CopyFrom(getattr(call, payload))
        return renewed

    def _new_call(self, connection: Opened) -> call_pb2.Call:
        return self._upstreams.new_call(
            Origin(connection.charge_point_id, connection.connection_id, "", self._clock.now())
        )
