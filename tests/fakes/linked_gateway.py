"""A gateway's end of the link to device_service, played by tests."""

from __future__ import annotations  # the stubs have names that exist only for type checkers

import asyncio
import contextlib
import uuid
from typing import Any

import grpc
from google.rpc import status_pb2

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.gateway.v1 import gateway_link_pb2_grpc as pb_grpc
from csms.ocpp.v16 import core_pb2
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemAnswer
from servicekit.clock import Clock
from tests.support.waiting import until

ACCEPTED = CentralSystemAnswer(reset=core_pb2.ResetResponse(status=core_pb2.RESET_STATUS_ACCEPTED))


class LinkedGateway:
    """One gateway process; its links come one after the other or side by side.

    Args:
        clock: The time of the service under test.
        gateway_id: Its name.
        instance_id: Its process; any by default.
    """

    def __init__(self, clock: Clock, gateway_id: str = "gateway-1", instance_id: str = "") -> None:
        self.clock, self.gateway_id = clock, gateway_id
        self.instance_id = instance_id or str(uuid.uuid4())
        self.connections: dict[str, str] = {}
        self.unanswered: list[str] = []

    async def link(self, channel: grpc.aio.Channel, *, beats: bool = True) -> LinkEnd:
        """Say Hello and wait for the Welcome."""
        link = LinkEnd(self, channel)
        await link.say(hello=self.hello())
        await until(lambda: bool(link.of("welcome")) or link.code is not None)
        assert link.code is None, link.code
        if beats:
            link.beat_until_it_ends()
        return link

    def hello(self) -> pb.Hello:
        """Return what introduces this gateway."""
        return pb.Hello(
            gateway_id=self.gateway_id,
            instance_id=self.instance_id,
            version="test",
            attached=[self.attachment(key) for key in self.connections],
            unanswered_command_ids=self.unanswered,
        )

    def connect(self, charge_point_id: str, connection_id: str = "") -> pb.ChargePointAttached:
        """Let a charge point come."""
        self.connections[charge_point_id] = connection_id or str(uuid.uuid4())
        return self.attachment(charge_point_id)

    def attachment(self, charge_point_id: str) -> pb.ChargePointAttached:
        """Return what is told of a connection."""
        attached = pb.ChargePointAttached(
            charge_point_id=charge_point_id,
            connection_id=self.connections[charge_point_id],
            remote_address="192.0.2.1:4000",
            subprotocol="ocpp1.6",
        )
        attached.open_time.FromDatetime(self.clock.now())
        return attached

    def disconnect(self, charge_point_id: str) -> pb.ChargePointDetached:
        """Let a charge point go."""
        detached = pb.ChargePointDetached(
            charge_point_id=charge_point_id,
            connection_id=self.connections.pop(charge_point_id),
            close_code=1006,
            reason="line dropped",
        )
        detached.close_time.FromDatetime(self.clock.now())
        return detached


class LinkEnd:
    """One link: what the gateway has heard, and how it ended."""

    def __init__(self, gateway: LinkedGateway, channel: grpc.aio.Channel) -> None:
        self.gateway = gateway
        self.heard: list[pb.ConnectResponse] = []
        self.code: grpc.StatusCode | None = None
        self.leaves_when_drained = True
        self._stream = pb_grpc.GatewayLinkServiceStub(channel).Connect()
        self._writing = asyncio.Lock()  # gRPC takes one write at a time
        self._reading = asyncio.create_task(self._read())
        self._beating: asyncio.Task[None] | None = None

    @property
    def welcome(self) -> pb.Welcome:
        """The first message."""
        return self.heard[0].welcome

    def of(self, kind: str) -> list[Any]:
        """Return the messages of one kind: `deliver_command`, `result_stored`."""
        return [getattr(it, kind) for it in self.heard if it.WhichOneof("message") == kind]

    async def say(self, **message: Any) -> None:
        """Send a message."""
        async with self._writing:
            await self._stream.write(pb.ConnectRequest(**message))

    async def attach(self, charge_point_id: str, connection_id: str = "") -> None:
        """Let a charge point come."""
        await self.say(attached=self.gateway.connect(charge_point_id, connection_id))

    async def detach(self, charge_point_id: str) -> None:
        """Let a charge point go."""
        await self.say(detached=self.gateway.disconnect(charge_point_id))

    async def command(self, count: int = 1) -> pb.DeliverCommand:
        """Wait for the first command on this link, or for the one with this number."""
        await until(lambda: len(self.of("deliver_command")) >= count)
        command = self.of("deliver_command")[count - 1]
        assert isinstance(command, pb.DeliverCommand)
        return command

    async def sent(self, command_id: str) -> None:
        """Tell that a command is on its socket."""
        sent = pb.CommandSent(command_id=command_id)
        sent.send_time.FromDatetime(self.gateway.clock.now())
        await self.say(command_sent=sent)

    async def answer(self, command_id: str) -> None:
        """Tell that the charge point accepts, and wait until that is stored."""
        await self.result(command_id, sent=True, answer=ACCEPTED)
        await until(lambda: command_id in [it.command_id for it in self.of("result_stored")])

    async def fail(self, command_id: str, *, sent: bool) -> None:
        """Tell that there is no answer."""
        await self.result(command_id, sent=sent, error=status_pb2.Status(code=10, message="lost"))

    async def result(self, command_id: str, **values: Any) -> None:
        """Tell how a command ended."""
        result = pb.CommandResult(command_id=command_id, **values)
        result.complete_time.FromDatetime(self.gateway.clock.now())
        await self.say(command_result=result)

    async def beat(self, *charge_point_ids: str) -> None:
        """Tell that the gateway lives and has heard charge points."""
        beat = pb.LinkHeartbeat()
        for key in charge_point_ids:
            seen = beat.charge_points_seen.add(charge_point_id=key)
            seen.last_seen_time.FromDatetime(self.gateway.clock.now())
        await self.say(heartbeat=beat)

    def beat_until_it_ends(self) -> None:
        """Beat twice as often as is asked for."""
        self._beating = asyncio.create_task(self._beat())

    async def leave(self) -> None:
        """Say that nothing more comes, and wait for the end."""
        await self._half_close()
        await self.ended()

    async def break_off(self) -> None:
        """Cut the line."""
        self._stream.cancel()
        await self.ended()

    async def ended(self) -> grpc.StatusCode:
        """Wait until the link has ended and return how."""
        await until(lambda: self.code is not None)
        assert self.code is not None
        return self.code

    async def _half_close(self) -> None:
        async with self._writing:
            await self._stream.done_writing()

    async def _beat(self) -> None:
        interval_s = self.welcome.heartbeat_interval.ToTimedelta().total_seconds() / 2
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while self.code is None:
                await self.say(heartbeat=pb.LinkHeartbeat())
                await asyncio.sleep(interval_s)

    async def _read(self) -> None:
        try:
            async for message in self._stream:
                self.heard.append(message)
                if message.WhichOneof("message") == "drain" and self.leaves_when_drained:
                    await self._half_close()
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass
        self.code = await self._stream.code()
        if self._beating is not None:
            self._beating.cancel()
