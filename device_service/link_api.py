"""The links of gateways: `csms.gateway.v1.GatewayLinkService`."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import grpc
import structlog

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.gateway.v1 import gateway_link_pb2_grpc as pb_grpc
from device_service import link_messages
from device_service.gateways import Gateways
from device_service.lanes import Lanes
from device_service.links import Beat, Link
from servicekit.backoff import Backoff
from servicekit.clock import Clock
from servicekit.errors import (
    DeadlineExceeded,
    InvalidRequest,
    PlatformError,
    ServiceUnavailable,
    Violation,
)

log = structlog.get_logger()

ConnectContext: TypeAlias = "grpc.aio.ServicerContext[pb.ConnectRequest, pb.ConnectResponse]"

_MISSED_HEARTBEATS = 2
_MESSAGES_AT_ONCE = 256
_DRAIN_GRACE = timedelta(seconds=2)
_RETRY_AFTER = timedelta(seconds=1)
_LAST_WORDS_S = 1.0
"""How long a gateway that has ended its link has to fetch what is still to be confirmed."""


class LinkApi(pb_grpc.GatewayLinkServiceServicer):
    """Serves the links: one loop reads, one writes, one watches over both.

    Args:
        gateways: Takes what gateways tell.
        clock: Tells the time.
        heartbeat_interval: How often each side tells that it lives.
    """

    def __init__(self, gateways: Gateways, clock: Clock, heartbeat_interval: timedelta) -> None:
        self._gateways, self._clock = gateways, clock
        self._interval = heartbeat_interval
        self._links: dict[Link, asyncio.Event] = {}
        self._draining = False

    def register(self, server: grpc.aio.Server) -> str:
        """Add this servicer to a server and return the full name of its service."""
        pb_grpc.add_GatewayLinkServiceServicer_to_server(self, server)
        return str(pb.DESCRIPTOR.services_by_name["GatewayLinkService"].full_name)

    async def Connect(
        self, request_iterator: AsyncIterator[pb.ConnectRequest], context: ConnectContext
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Serve the link of one gateway until it ends."""
        if self._draining:
            raise _stopping()
        signals, gone = _Signals(), asyncio.Event()
        link = await self._introduce(request_iterator, signals.set)
        self._links[link] = gone
        log.info("gateway_linked", **_names(link), held=len(link.attachments))
        try:
            if self._draining:
                raise _stopping()
            yield self._welcome(link)
            await self._serve(link, signals, request_iterator, context)
        except PlatformError as error:
            log.warning("link_ended", **_names(link), reason=error.reason, error=error.message)
            raise
        else:
            log.info("link_ended", **_names(link))
        finally:
            del self._links[link]
            gone.set()
            await self._gateways.unlink(link)

    async def drain(self) -> None:
        """Ask all gateways to link elsewhere; return when they have, or after 2 seconds."""
        self._draining = True
        waits = [gone.wait() for gone in self._links.values()]
        for link in list(self._links):
            link.drain(_DRAIN_GRACE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*waits), _DRAIN_GRACE.total_seconds())
        for link in list(self._links):
            link.end(_stopping())

    async def _introduce(
        self, requests: AsyncIterator[pb.ConnectRequest], notify: Callable[[], None]
    ) -> Link:
        """Read the first message, which has to come before two heartbeats are missed."""
        try:
            async with asyncio.timeout(self._patience_s):
                first = await anext(aiter(requests), pb.ConnectRequest())
        except TimeoutError:
            raise DeadlineExceeded("No Hello came in time.") from None
        if first.WhichOneof("message") != "hello":
            raise InvalidRequest([Violation("hello", "must be the first message of a link")])
        hello = link_messages.hello(first.hello, self._clock.now())
        return await self._gateways.link(hello, notify)

    def _welcome(self, link: Link) -> pb.ConnectResponse:
        gateways = self._gateways
        return link_messages.to_welcome(
            link, self._interval, gateways.max_in_flight, gateways.replica_id
        )

    @property
    def _patience_s(self) -> float:
        return _MISSED_HEARTBEATS * self._interval.total_seconds()

    async def _serve(
        self,
        link: Link,
        signals: "_Signals",
        requests: AsyncIterator[pb.ConnectRequest],
        context: ConnectContext,
    ) -> None:
        """Read, write and watch until one of them ends; the others end with it."""
        reader = _Reader(self._gateways, link, self._clock)
        writing = asyncio.create_task(_write(link, signals, context))
        loops = {
            asyncio.create_task(reader.read(requests)),
            asyncio.create_task(self._watch(link, signals, reader)),
            writing,
        }
        try:
            ended, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            link.end()
            for loop in ended:
                loop.result()
            await asyncio.wait({writing}, timeout=_LAST_WORDS_S)
            if link.error is not None:
                raise link.error
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _watch(self, link: Link, signals: "_Signals", reader: "_Reader") -> None:
        """Beat; raise what ends the link.

        Raises:
            PlatformError: The gateway is silent, or something else has ended the link.
        """
        beat_at = time.monotonic()
        while not link.ended:
            silent_at = reader.last_heard + self._patience_s
            if (now := time.monotonic()) >= silent_at:
                raise DeadlineExceeded(
                    f"Nothing was heard for {self._patience_s:g} seconds.", gateway=link.gateway_id
                )
            if now >= beat_at:
                link.send(Beat(link.in_flight_count))
                beat_at = now + self._interval.total_seconds()
            await signals.heard_within(min(beat_at, silent_at) - now)
        if link.error is not None:
            raise link.error


class _Signals:
    """Wakes the loops of a link when it has something to send, and when it has ended."""

    def __init__(self) -> None:
        self.to_write, self._to_watch = asyncio.Event(), asyncio.Event()

    def set(self) -> None:
        """Wake the loops."""
        self.to_write.set()
        self._to_watch.set()

    async def heard_within(self, seconds: float) -> None:
        """Return at a signal, or when the time is over."""
        self._to_watch.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._to_watch.wait()


class _Reader:
    """Reads what a gateway tells; what concerns one charge point waits for nothing else."""

    def __init__(self, gateways: Gateways, link: Link, clock: Clock) -> None:
        self._gateways, self._link, self._clock = gateways, link, clock
        self._lanes = Lanes(_MESSAGES_AT_ONCE)
        self.last_heard = time.monotonic()

    async def read(self, requests: AsyncIterator[pb.ConnectRequest]) -> None:
        """Read until the gateway has nothing more to tell and all of it is stored.

        Raises:
            InvalidRequest: A gateway introduces itself twice.
        """
        async for request in requests:
            self.last_heard = time.monotonic()
            key, work = self._work(request)
            await self._lanes.put(key, partial(self._persist, work))
        await self._lanes.done()

    def _work(self, request: pb.ConnectRequest) -> tuple[str, Callable[[], Awaitable[None]]]:
        gateways, link, now = self._gateways, self._link, self._clock.now()
        match request.WhichOneof("message"):
            case "attached":
                opened = link_messages.opened(
                    request.attached, link.gateway_id, link.instance_id, now
                )
                return opened.charge_point_id, partial(gateways.attached, link, opened)
            case "detached":
                closed = link_messages.closed(request.detached, now)
                return closed.charge_point_id, partial(gateways.detached, link, closed)
            case "command_sent":
                sent = request.command_sent
                send_time = link_messages.send_time(sent, now)
                return sent.command_id, partial(gateways.sent, sent.command_id, send_time)
            case "command_result":
                outcome = link_messages.outcome(request.command_result, now)
                return outcome.command_id, partial(gateways.ended, link, outcome)
            case "heartbeat":
                seen = link_messages.seen(request.heartbeat, now)
                return "", partial(gateways.beat, link, seen)
            case "hello":
                raise InvalidRequest([Violation("hello", "must come once, as the first message")])
            case _:  # frames, which are not stored, or what a newer gateway tells
                self._show(request.watched_frames, now)
                return "", _nothing

    def _show(self, watched: pb.WatchedFrames, now: datetime) -> None:
        frames = link_messages.frames(watched, now)
        self._link.show(watched.watch_id, frames, watched.dropped_count)

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again while the database is away; the gateway tells anew on its next link."""
        backoff = Backoff(first=0.2, most=2)
        while not self._link.ended:
            try:
                return await work()
            except PlatformError as error:
                log.warning("link_message_not_stored", **_names(self._link), reason=error.reason)
            except Exception:
                log.exception("link_message_failed", **_names(self._link))
                return None
            await asyncio.sleep(backoff.next_delay())
        return None


async def _write(link: Link, signals: _Signals, context: ConnectContext) -> None:
    while True:
        signals.to_write.clear()
        while (message := link.next_message()) is not None:
            await context.write(link_messages.to_response(message))
        if link.ended:
            return
        await signals.to_write.wait()


async def _nothing() -> None:
    pass


def _names(link: Link) -> dict[str, object]:
    return {"gateway": link.gateway_id, "instance": link.instance_id, "epoch": link.epoch}


def _stopping() -> ServiceUnavailable:
    return ServiceUnavailable("This replica stops; link to another.", retry_after=_RETRY_AFTER)
