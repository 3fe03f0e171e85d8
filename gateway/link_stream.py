"""One link to one replica of device_service, from Hello to its end."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import grpc
import structlog

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.gateway.v1 import gateway_link_pb2_grpc as pb_grpc
from gateway.watches import Watches

log = structlog.get_logger()

_WELCOME_TIMEOUT_S: Final = 5.0
_MAX_UNSENT: Final = 50_000
_MISSED_HEARTBEATS: Final = 2

Stream: TypeAlias = "grpc.aio.StreamStreamCall[pb.ConnectRequest, pb.ConnectResponse]"


class LinkTooSlow(Exception):
    """device_service does not read what the gateway has to tell; a new link begins afresh."""


class LinkOwner(Protocol):
    """Acts on what a link brings."""

    def welcomed(self, link: "LinkStream") -> None:
        """Take a link into use."""

    def deliver(self, command: pb.DeliverCommand) -> None:
        """Send a command to its charge point."""

    def stored(self, command_id: str) -> None:
        """Forget a result."""

    def heartbeat(self, link: "LinkStream") -> pb.LinkHeartbeat:
        """Return what a heartbeat on this link tells."""


class LinkStream:
    """Reads and writes one stream.

    Args:
        stub: The replica.
        hello: The first message.
        owner: Acts on what comes.
        watches: Makes the watches of this link; is called with what wakes the writer.
    """

    def __init__(
        self,
        stub: "pb_grpc.GatewayLinkServiceAsyncStub",
        hello: pb.Hello,
        owner: LinkOwner,
        watches: Callable[[Callable[[], None]], Watches],
    ) -> None:
        self._stub, self._owner = stub, owner
        self._wake = asyncio.Event()
        self._watches = watches(self._wake.set)
        self._unsent = deque([pb.ConnectRequest(hello=hello)])
        self._wake.set()
        self._closing = False
        self._too_slow = asyncio.Event()
        self._patience_s = _WELCOME_TIMEOUT_S
        self._welcome = asyncio.Event()
        self.heartbeat_interval_s = 0.0
        self.leaving = asyncio.Event()
        self.ended = asyncio.Event()
        self.was_replaced = False

    @property
    def is_welcome(self) -> bool:
        """Whether device_service has let this link in."""
        return self._welcome.is_set()

    def offer(self, message: pb.ConnectRequest) -> None:
        """Send a message with the next write; a link that cannot keep up is given up.

        Nothing is lost by that: the Hello of the next link tells all that holds by then.
        """
        if self.ended.is_set() or self._closing:
            return
        if len(self._unsent) >= _MAX_UNSENT:
            self._too_slow.set()
            return
        self._unsent.append(message)
        self._wake.set()

    def half_close(self) -> None:
        """Write what is left and say that nothing more comes."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Hold the stream until it ends, in whatever way; never raises."""
        stream = self._stub.Connect()
        try:
            async with asyncio.TaskGroup() as pumps:
                others = [
                    pumps.create_task(self._write(stream)),
                    pumps.create_task(self._beat()),
                    pumps.create_task(self._give_up_when_too_slow()),
                ]
                await self._read(stream)
                for other in others:
                    other.cancel()
        except Exception:
            log.exception("link_failed")
        finally:
            stream.cancel()
            self._watches.close()
            self.ended.set()
            self.leaving.set()

    async def _read(self, stream: Stream) -> None:
        try:
            while True:
                async with asyncio.timeout(self._patience_s):
                    message = await stream.read()
                if not isinstance(message, pb.ConnectResponse):  # the end of the stream
                    log.info("link_ended")
                    return
                self._handle(message)
        except TimeoutError:
            log.warning("link_silent", after_s=self._patience_s)
        except grpc.aio.AioRpcError as error:
            self.was_replaced = error.code() is grpc.StatusCode.ABORTED
            log.warning("link_broken", code=error.code().name, details=error.details())

    def _handle(self, message: pb.ConnectResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "welcome":
            self._begin(message.welcome)
        elif kind == "deliver_command":
            self._owner.deliver(message.deliver_command)
        elif kind == "result_stored":
            self._owner.stored(message.result_stored.command_id)
        elif kind == "drain":
            self.leaving.set()
        elif kind == "watch_frames":
            self._watches.begin(message.watch_frames)
        elif kind == "unwatch_frames":
            self._watches.end(message.unwatch_frames.watch_id)

    def _begin(self, welcome: pb.Welcome) -> None:
        self.heartbeat_interval_s = welcome.heartbeat_interval.ToTimedelta().total_seconds()
        self._patience_s = _MISSED_HEARTBEATS * self.heartbeat_interval_s
        self._welcome.set()
        log.info("link_opened", replica=welcome.replica_id, epoch=welcome.epoch)
        self._owner.welcomed(self)

    async def _beat(self) -> None:
        await self._welcome.wait()
        while True:
            self.offer(pb.ConnectRequest(heartbeat=self._owner.heartbeat(self)))
            await asyncio.sleep(self.heartbeat_interval_s)

    async def _give_up_when_too_slow(self) -> None:
        await self._too_slow.wait()
        raise LinkTooSlow(f"{_MAX_UNSENT} messages wait for device_service")

    async def _write(self, stream: Stream) -> None:
        # A write on a stream that has ended fails in either way; the reader says how it ended.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while message := self._next():
                    await stream.write(message)
                if self._closing:
                    await stream.done_writing()
                    return

    def _next(self) -> pb.ConnectRequest | None:
        """Return what is to be sent next; frames for watchers come after all else."""
        if self._unsent:
            return self._unsent.popleft()
        frames = self._watches.next_batch()
        return None if frames is None else pb.ConnectRequest(watched_frames=frames)
