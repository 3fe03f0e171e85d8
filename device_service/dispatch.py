"""Claims commands for the charge points whose gateways are linked here, and sends them."""

import asyncio

import structlog

from device_service.links import Link, Links
from device_service.ports import CommandDesk, ConnectionRegistry
from servicekit.errors import PlatformError

log = structlog.get_logger()

_CLAIMS_AT_ONCE = 4
"""Half of the connections to the database, as it is set by default."""


class Dispatch:
    """Delivers commands; one small task per charge point, which ends when none waits.

    Args:
        links: The links of this replica.
        desk: Hands out commands.
        registry: Knows the replicas that hold other charge points.
    """

    def __init__(self, links: Links, desk: CommandDesk, registry: ConnectionRegistry) -> None:
        self._links, self._desk, self._registry = links, desk, registry
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._held_up: dict[str, None] = {}  # by links that were full; in order
        self._room = asyncio.Semaphore(_CLAIMS_AT_ONCE)

    async def wake(self, charge_point_id: str) -> None:
        """Deliver what waits for a charge point, here or at the replica that holds it."""
        if not self.look(charge_point_id):
            self._registry.wake(charge_point_id)

    def look(self, charge_point_id: str) -> bool:
        """Begin to deliver what waits for a charge point; false when it is not held here."""
        if self._links.find(charge_point_id) is None:
            return False
        if charge_point_id in self._tasks:
            self._again.add(charge_point_id)
        else:
            task = asyncio.create_task(self._serve(charge_point_id))
            self._tasks[charge_point_id] = task
        return True

    def look_further(self) -> None:
        """Go on with a charge point that waited until its link had room."""
        if self._held_up:
            charge_point_id = next(iter(self._held_up))
            del self._held_up[charge_point_id]
            self.look(charge_point_id)

    async def poll(self) -> None:
        """Look for commands of which nobody told; what is sent by others may get lost.

        Raises:
            DatabaseUnavailable: It is away; poll again later.
        """
        held = self._links.held()
        for charge_point_id in await self._desk.waiting(held) if held else ():
            self.look(charge_point_id)

    async def reconcile(self, link: Link) -> None:
        """Take back what was claimed for a gateway and never got onto its link.

        That happens when the answer to a claim is lost, or a link ends unnoticed. Nothing is
        claimed for the link meanwhile, or it would be taken back as well.

        Raises:
            DatabaseUnavailable: It is away; reconcile again later.
        """
        link.paused = True
        try:
            if self._tasks:
                await asyncio.wait(set(self._tasks.values()))
            await self._desk.relinked(link.instance_id, link.in_flight_ids)
        finally:
            link.paused = False

    async def close(self) -> None:
        """Wait for what is being claimed."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _serve(self, charge_point_id: str) -> None:
        try:
            self._again.add(charge_point_id)
            while charge_point_id in self._again:
                self._again.discard(charge_point_id)
                async with self._room:
                    await self._deliver_next(charge_point_id)
        except PlatformError as error:  # the next poll finds what waits
            log.warning("command_not_claimed", charge_point=charge_point_id, reason=error.reason)
        finally:
            del self._tasks[charge_point_id]
            self._again.discard(charge_point_id)

    async def _deliver_next(self, charge_point_id: str) -> None:
        found = self._links.find(charge_point_id)
        if found is None:
            return
        link, attachment = found
        if link.is_full:
            self._held_up[charge_point_id] = None
        if not link.may_deliver(charge_point_id):
            return
        delivery = await self._desk.claim_next(
            charge_point_id, attachment.connection_id, link.instance_id
        )
        if delivery is None:
            return
        # A gateway whose link has ended may have told already, elsewhere, that it has not got it.
        if link.ended or self._links.find(charge_point_id) != found:
            await self._desk.release(delivery.command_id)
        else:
            link.deliver(delivery)
