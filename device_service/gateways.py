"""What becomes of that which gateways tell over their links."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from device_service.dispatch import Dispatch
from device_service.facts import ConnectionClosed, ConnectionOpened, GatewayBeat, GatewayLinked
from device_service.links import Attachment, Link, Links
from device_service.ports import (
    CommandDesk,
    ConnectionRegistry,
    Current,
    GatewayStore,
    Outcome,
    Recorder,
)
from servicekit.clock import Clock
from servicekit.group_commit import GroupCommit

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hello:
    """How a gateway introduces itself.

    Attributes:
        opened: Every connection that it holds.
        unanswered: The commands that it has taken and whose results are not confirmed.
    """

    gateway_id: str
    instance_id: str
    version: str
    opened: tuple[ConnectionOpened, ...]
    unanswered: tuple[str, ...]


class Gateways:
    """Stores what gateways tell, and keeps the links of this replica by it.

    Args:
        links: The links of this replica.
        store: Numbers links and knows the newest connections.
        recorder: Stores facts.
        desk: Takes what came of commands.
        dispatch: Delivers commands.
        registry: Tells the other replicas.
        clock: Tells the time.
        replica_id: Identifies this replica for people.
        max_in_flight: Commands that may be under way on one link.
    """

    def __init__(
        self,
        *,
        links: Links,
        store: GatewayStore,
        recorder: Recorder,
        desk: CommandDesk,
        dispatch: Dispatch,
        registry: ConnectionRegistry,
        clock: Clock,
        replica_id: str,
        max_in_flight: int,
    ) -> None:
        self._links, self._store, self._recorder = links, store, recorder
        self._desk, self._dispatch, self._registry = desk, dispatch, registry
        self._clock = clock
        self.replica_id, self.max_in_flight = replica_id, max_in_flight
        self._attaching = GroupCommit(self._attach)

    async def link(self, hello: Hello, notify: Callable[[], None]) -> Link:
        """Take a link, and everything that its gateway holds.

        Raises:
            LinkReplaced: The gateway has a newer link.
            DatabaseUnavailable: What it holds was not stored.
        """
        now = self._clock.now()
        linked = await self._store.link(
            hello.gateway_id, hello.instance_id, hello.version, self.replica_id, now
        )
        link = Link(
            hello.gateway_id,
            hello.instance_id,
            linked.epoch,
            unanswered=hello.unanswered,
            max_in_flight=self.max_in_flight,
            notify=notify,
        )
        left = self._links.open(link)
        self._registry.linked(link.gateway_id, link.epoch)
        try:
            await self._registry.release(left)
            await self._settle(link, hello, linked.predecessors, now)
        except BaseException:
            await self.unlink(link)
            raise
        return link

    async def attached(self, link: Link, opened: ConnectionOpened) -> None:
        """Take a new connection, and deliver what waits for its charge point."""
        await self._recorder.submit(opened)
        await self._attaching.submit((link, opened))

    async def detached(self, link: Link, closed: ConnectionClosed) -> None:
        """Take the end of a connection."""
        lease = self._links.detach(link, closed.charge_point_id, closed.connection_id)
        await self._recorder.submit(closed)
        if lease is not None:
            await self._registry.release([lease])

    async def beat(self, link: Link, seen: Mapping[str, datetime]) -> None:
        """Take a sign of life."""
        await self._recorder.submit(
            GatewayBeat(link.gateway_id, link.instance_id, self._clock.now(), seen)
        )

    async def sent(self, command_id: str, send_time: datetime) -> None:
        """Note that a command was written to its socket."""
        await self._desk.sent(command_id, send_time)

    async def ended(self, link: Link, outcome: Outcome) -> None:
        """Store how a command ended, confirm it, and go on with the next."""
        charge_point_id = await self._desk.ended(outcome)
        link.confirm(outcome.command_id)
        self._dispatch.look(charge_point_id)
        self._dispatch.look_further()

    async def unlink(self, link: Link) -> None:
        """Forget a link; whether its charge points are still connected is not known."""
        leases = self._links.close(link)
        if leases:
            await self._registry.release(leases)

    async def lost(self, instance_id: str, alive_since: datetime | None) -> None:
        """Close what a gateway process held and end what was under way at it.

        Args:
            instance_id: The process.
            alive_since: Nothing is done when it has given a sign of life since; None: whatever.
        """
        # First the commands: when this fails midway, the process is still known to be lost.
        if alive_since is None or instance_id in await self._store.silent(alive_since):
            await self._desk.gateway_lost(instance_id)
            if await self._store.forget(instance_id, alive_since, self._clock.now()):
                log.warning("gateway_lost", instance=instance_id)

    async def _settle(
        self, link: Link, hello: Hello, predecessors: Sequence[str], now: datetime
    ) -> None:
        await self._recorder.submit(
            GatewayLinked(hello.gateway_id, hello.instance_id, now, hello.opened)
        )
        for instance_id in predecessors:
            await self.lost(instance_id, None)
        await self._desk.relinked(hello.instance_id, frozenset(hello.unanswered))
        if hello.opened:
            await self._attach([(link, opened) for opened in hello.opened])

    async def _attach(self, connections: Sequence[tuple[Link, ConnectionOpened]]) -> Sequence[None]:
        """Hold the connections that are the newest of their charge points; deliver what waits."""
        current = await self._store.current([opened.charge_point_id for _, opened in connections])
        held = [
            link.lease(attachment)
            for link, opened in connections
            if (attachment := _newest(opened, current)) is not None
            and self._links.attach(link, attachment)
        ]
        for outdone in await self._registry.hold(held):
            self._links.fence(outdone)
        keys = [lease.charge_point_id for lease in held]
        for key in await self._desk.waiting(keys) if keys else ():
            self._dispatch.look(key)
        return [None] * len(connections)


def _newest(opened: ConnectionOpened, current: Mapping[str, Current]) -> Attachment | None:
    """Return the attachment; None when the charge point has a newer connection."""
    known = current.get(opened.charge_point_id)
    if known is None or known.connection_id != opened.connection_id:
        return None
    return Attachment(opened.charge_point_id, opened.connection_id, known.generation)
