"""device_service's end of the gateway link, played by tests."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.gateway.v1 import gateway_link_pb2_grpc as pb_grpc
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemCall
from tests.support.waiting import until

Context = grpc.aio.ServicerContext[Any, Any]


class LinkEnd:
    """One link: what the gateway said, and what it is told."""

    def __init__(self) -> None:
        self.heard: list[pb.ConnectRequest] = []
        self.answers: asyncio.Queue[pb.ConnectResponse | None] = asyncio.Queue(1000)
        self.half_closed = asyncio.Event()
        self.ended = asyncio.Event()

    @property
    def hello(self) -> pb.Hello:
        """The first message."""
        return self.heard[0].hello

    def of(self, kind: str) -> list[Any]:
        """Return the messages of one kind: `attached`, `command_result`."""
        return [getattr(it, kind) for it in self.heard if it.WhichOneof("message") == kind]

    def results(self, command_id: str) -> list[pb.CommandResult]:
        """Return what was told of a command."""
        return [it for it in self.of("command_result") if it.command_id == command_id]

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.answers.put_nowait(pb.ConnectResponse(**message))

    def end(self) -> None:
        """End the link in order."""
        self.answers.put_nowait(None)


class FakeGatewayLink(pb_grpc.GatewayLinkServiceServicer):
    """Lets every gateway in.

    Attributes:
        links: Every link there was, oldest first.
        welcomes: Whether a Hello is answered.
        confirms: Whether results are confirmed.
        beats: Whether heartbeats are sent.
    """

    def __init__(self, heartbeat_interval_s: float = 0.1) -> None:
        self.links: list[LinkEnd] = []
        self.welcomes = self.confirms = self.beats = True
        self.aborts = False
        self._interval_s = heartbeat_interval_s

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server."""
        pb_grpc.add_GatewayLinkServiceServicer_to_server(self, server)
        return "csms.gateway.v1.GatewayLinkService"

    @property
    def newest(self) -> LinkEnd:
        """The link that is used."""
        return self.links[-1]

    def of(self, kind: str) -> list[Any]:
        """Return the messages of one kind, of all links."""
        return [message for link in self.links for message in link.of(kind)]

    def connection_id(self, charge_point_id: str = "CP-1") -> str:
        """Return the newest connection of a charge point."""
        said = [it for link in self.links for it in (*link.hello.attached, *link.of("attached"))]
        of_it = [str(it.connection_id) for it in said if it.charge_point_id == charge_point_id]
        return of_it[-1]

    async def attached(self, charge_point_id: str = "CP-1", count: int = 1) -> str:
        """Wait for a charge point to be connected and return its connection."""
        await until(
            lambda: (
                len([it for it in self.of("attached") if it.charge_point_id == charge_point_id])
                >= count
            )
        )
        return self.connection_id(charge_point_id)

    def deliver(self, call: CentralSystemCall, **overrides: Any) -> str:
        """Send a command down the newest link and return its id."""
        command = a_command(call, **{"connection_id": None, **overrides})
        if not command.connection_id:
            command.connection_id = self.connection_id(command.charge_point_id)
        self.newest.say(deliver_command=command)
        return command.command_id

    async def result(self, command_id: str) -> pb.CommandResult:
        """Wait for the result of a command."""
        await until(lambda: any(link.results(command_id) for link in self.links))
        return next(it for link in self.links for it in link.results(command_id))

    async def Connect(
        self, request_iterator: AsyncIterator[pb.ConnectRequest], context: Context
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Serve one link."""
        link = LinkEnd()
        reading = asyncio.create_task(self._read(link, request_iterator))
        beating = asyncio.create_task(self._beat(link))
        try:
            while (answer := await link.answers.get()) is not None:
                yield answer
            if self.aborts:
                await context.abort(grpc.StatusCode.ABORTED, "a newer link")
        finally:
            reading.cancel()
            beating.cancel()
            link.ended.set()

    async def _read(self, link: LinkEnd, requests: AsyncIterator[pb.ConnectRequest]) -> None:
        async for request in requests:
            link.heard.append(request)
            if request.WhichOneof("message") == "hello":
                self._begin(link)
            elif request.WhichOneof("message") == "command_result" and self.confirms:
                link.say(
                    result_stored=pb.ResultStored(command_id=request.command_result.command_id)
                )
        link.half_closed.set()
        link.end()

    def _begin(self, link: LinkEnd) -> None:
        self.links.append(link)
        if self.welcomes:
            welcome = pb.Welcome(epoch=len(self.links))
            welcome.heartbeat_interval.FromTimedelta(timedelta(seconds=self._interval_s))
            link.say(welcome=welcome)

    async def _beat(self, link: LinkEnd) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            if self.beats and link.heard:
                link.say(heartbeat=pb.LinkHeartbeat())


def a_command(
    call: CentralSystemCall,
    *,
    charge_point_id: str = "CP-1",
    connection_id: str | None = None,
    expires_in: timedelta = timedelta(seconds=30),
    answer_timeout: timedelta = timedelta(seconds=15),
    traceparent: str = "",
    command_id: str = "",
) -> pb.DeliverCommand:
    """Return a command that is good for a while."""
    command = pb.DeliverCommand(
        command_id=command_id or str(uuid.uuid4()),
        charge_point_id=charge_point_id,
        connection_id=connection_id or "",
        traceparent=traceparent,
        call=call,
    )
    command.expire_time.FromDatetime(datetime.now(UTC) + expires_in)
    command.answer_timeout.FromTimedelta(answer_timeout)
    return command
