"""Keeps a link to device_service: commands come down, connections and results go up.

A link that cannot be had disturbs no charge point: their calls go their own way (`upstream`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc
import structlog

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.gateway.v1 import gateway_link_pb2_grpc as pb_grpc
from gateway.commands import Commands
from gateway.connections import Connections, Opened
from gateway.journal import Journal
from gateway.link_stream import LinkStream
from gateway.repair import Repairer
from gateway.watches import Watches
from servicekit.backoff import Backoff
from servicekit.clock import Clock
from servicekit.timestamps import to_timestamp

log = structlog.get_logger()

_FAREWELL_S: Final = 2.0
VERSION: Final = "0.1.0"


@dataclass(frozen=True)
class Gateway:
    """This gateway: its name for people, and the id of its process."""

    gateway_id: str
    instance_id: str


class GatewayLink:
    """Dials, says what the gateway holds, and dials again whenever the link ends.

    Args:
        gateway: This gateway.
        channels: The replicas of device_service; one of them is linked at a time.
        connections: The sockets.
        commands: Delivers what comes down.
        journal: The frames that may be watched.
        repairer: Tells what was repaired in a watched frame.
        clock: The time of day.
    """

    def __init__(
        self,
        gateway: Gateway,
        channels: Sequence[grpc.aio.Channel],
        *,
        connections: Connections,
        commands: Commands,
        journal: Journal,
        repairer: Repairer,
        clock: Clock,
    ) -> None:
        self._gateway, self._connections, self._commands = gateway, connections, commands
        self._journal, self._repairer, self._clock = journal, repairer, clock
        self._stubs = [pb_grpc.GatewayLinkServiceStub(channel) for channel in channels]
        self._turn = 0
        self._links: dict[LinkStream, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep a link for the length of the block, then tell the last results."""
        dialling = asyncio.create_task(self._dial_forever())
        try:
            yield
        finally:
            dialling.cancel()
            await self._say_farewell()

    def attached(self, opened: Opened) -> None:
        """Tell that a charge point has connected."""
        self._tell_all(pb.ConnectRequest(attached=_attached(opened)))

    def detached(self, opened: Opened, code: int, reason: str) -> None:
        """Tell that a connection has ended."""
        detached = pb.ChargePointDetached(
            charge_point_id=opened.charge_point_id,
            connection_id=opened.connection_id,
            close_code=code,
            reason=reason,
            close_time=to_timestamp(self._clock.now()),
        )
        self._tell_all(pb.ConnectRequest(detached=detached))

    # What a link asks of its owner

    def welcomed(self, link: LinkStream) -> None:
        """Take a link into use: results that wait go there, older links end."""
        for result in self._commands.results:
            link.offer(pb.ConnectRequest(command_result=result))
        for other in self._links:
            if other is not link:
                other.half_close()

    def deliver(self, command: pb.DeliverCommand) -> None:
        """Send a command to its charge point; the result goes to the link that is newest then."""
        self._commands.take(command, self._tell)

    def stored(self, command_id: str) -> None:
        """Forget a result."""
        self._commands.forget(command_id)

    def heartbeat(self, link: LinkStream) -> pb.LinkHeartbeat:
        """Return a heartbeat; only the newest link is told who was heard."""
        heard = self._connections.take_seen() if link is self._newest else {}
        beat = pb.LinkHeartbeat(in_flight_count=self._commands.in_flight_count)
        for charge_point_id, seen in heard.items():
            beat.charge_points_seen.add(
                charge_point_id=charge_point_id, last_seen_time=to_timestamp(seen)
            )
        return beat

    @property
    def _newest(self) -> LinkStream | None:
        return next(reversed(self._links), None)

    def _tell(self, message: pb.ConnectRequest) -> None:
        if self._newest is not None:
            self._newest.offer(message)

    def _tell_all(self, message: pb.ConnectRequest) -> None:
        for link in self._links:
            link.offer(message)

    async def _dial_forever(self) -> None:
        backoff = Backoff(first=0.5, most=30)
        while True:
            link, opened_at = self._open(), time.monotonic()
            await link.leaving.wait()
            lived = link.is_welcome and time.monotonic() - opened_at >= link.heartbeat_interval_s
            if link.was_replaced:
                log.error("gateway_id_in_use_by_another_process", **self._identity())
            elif lived:
                backoff.reset()
            await asyncio.sleep(backoff.next_delay())

    def _open(self) -> LinkStream:
        """Begin a link to the next replica; from here on it is told all that happens."""
        stub = self._stubs[self._turn % len(self._stubs)]
        self._turn += 1
        link = LinkStream(
            stub, self._hello(), self, lambda wake: Watches(self._journal, self._repairer, wake)
        )
        task = asyncio.create_task(link.run())
        self._links[link] = task
        task.add_done_callback(lambda _: self._links.pop(link))
        return link

    def _hello(self) -> pb.Hello:
        return pb.Hello(
            gateway_id=self._gateway.gateway_id,
            instance_id=self._gateway.instance_id,
            version=VERSION,
            attached=[_attached(opened) for opened in self._connections.all_opened()],
            unanswered_command_ids=self._commands.unanswered_ids,
        )

    def _identity(self) -> dict[str, str]:
        return {"gateway": self._gateway.gateway_id, "instance": self._gateway.instance_id}

    async def _say_farewell(self) -> None:
        await self._commands.settle()
        for link in self._links:
            link.half_close()
        tasks = set(self._links.values())
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _attached(opened: Opened) -> pb.ChargePointAttached:
    return pb.ChargePointAttached(
        charge_point_id=opened.charge_point_id,
        connection_id=opened.connection_id,
        remote_address=opened.remote_address,
        subprotocol=opened.subprotocol,
        open_time=to_timestamp(opened.open_time),
    )
