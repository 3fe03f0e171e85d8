"""Those who watch the frames of charge points whose gateways are linked to this replica."""

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from device_service.domain.commands import ChargePointOffline
from device_service.domain.frames import Frame
from device_service.links import BeginWatch, EndWatch, Link, Links
from device_service.ports import ConnectionRegistry
from servicekit.errors import QueueFull, ServiceUnavailable

_MAX_BEHIND = 1000
_MAX_WATCHES = 100
_LOOK_INTERVAL_S = 5.0


class FrameWatch:
    """What one watcher has yet to see; implements `links.Watcher`."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._dropped = 0
        self._news = asyncio.Event()
        self._ended = False

    def add(self, frames: Sequence[Frame], dropped_count: int) -> None:
        """Take frames; the oldest make room when the watcher is too slow."""
        self._dropped += dropped_count
        self._frames.extend(frames)
        while len(self._frames) > _MAX_BEHIND:
            self._dropped += 1 + self._frames.popleft().dropped_count
        self._news.set()

    def end(self) -> None:
        """Take note that nothing more comes."""
        self._ended = True
        self._news.set()

    async def take(self, within_s: float) -> list[Frame]:
        """Return what has come, after a while at most.

        Raises:
            ServiceUnavailable: Nothing more will come.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return []
        self._news.clear()
        return self._taken()

    def _taken(self) -> list[Frame]:
        frames = list(self._frames)
        self._frames.clear()
        if frames and self._dropped:
            frames[0] = replace(frames[0], dropped_count=self._dropped)
            self._dropped = 0
        if self._ended and not frames:
            raise ServiceUnavailable("The gateway is not linked here any more; watch again.")
        return frames


class LinkedFrames:
    """Brings frames over the links of this replica.

    Args:
        links: The links.
        registry: Knows the replicas that hold other charge points.
        replica_id: Names this replica.
    """

    def __init__(self, links: Links, registry: ConnectionRegistry, replica_id: str) -> None:
        self._links, self._registry, self._replica_id = links, registry, replica_id
        self._count = 0

    async def watch(self, charge_point_id: str) -> AsyncGenerator[Frame, None]:
        """Yield the frames that are kept, then each as it passes, without an end.

        Raises:
            ChargePointOffline: It is not connected.
            ServiceUnavailable: Another replica holds it; ask again, and another one answers.
            QueueFull: Too many watch already.
        """
        link = await self._link_of(charge_point_id)
        if self._count >= _MAX_WATCHES:
            raise QueueFull("Too many watch frames already; end other watches first.")
        watch_id, watch = str(uuid.uuid4()), FrameWatch()
        self._count += 1
        link.watches[watch_id] = watch
        link.send(BeginWatch(watch_id, charge_point_id))
        try:
            while True:
                for frame in await watch.take(_LOOK_INTERVAL_S):
                    yield frame
                await self._check_held(charge_point_id, link)
        finally:
            self._count -= 1
            del link.watches[watch_id]
            link.send(EndWatch(watch_id))

    async def _link_of(self, charge_point_id: str) -> Link:
        found = self._links.find(charge_point_id)
        if found is not None:
            return found[0]
        if await self._registry.holder(charge_point_id) not in ("", self._replica_id):
            raise _elsewhere(charge_point_id)
        raise ChargePointOffline(
            f"The charge point {charge_point_id} is not connected.", charge_point=charge_point_id
        )

    async def _check_held(self, charge_point_id: str, link: Link) -> None:
        """Raise when the charge point has come back elsewhere; while it is away, go on waiting."""
        found = self._links.find(charge_point_id)
        if found is not None:
            moved = found[0] is not link
        else:
            moved = await self._registry.holder(charge_point_id) not in ("", self._replica_id)
        if moved:
            raise _elsewhere(charge_point_id)


def _elsewhere(charge_point_id: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        "The charge point's gateway is linked to another replica; ask again.",
        charge_point=charge_point_id,
    )
