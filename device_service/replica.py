"""What a replica does when others tell it something, and from time to time."""

import time
from collections.abc import Sequence
from datetime import timedelta

from device_service.dispatch import Dispatch
from device_service.domain.commands import Command
from device_service.gateways import Gateways
from device_service.links import Links
from device_service.ports import CommandEvents, ConnectionRegistry, GatewayStore, Lease
from servicekit.clock import Clock
from servicekit.errors import PlatformError


class Replica:
    """What this replica does when others tell it something, and from time to time.

    Args:
        links: The links of this replica.
        gateways: Ends what was under way at gateways that are lost.
        store: Knows the newest links, and which gateways live.
        dispatch: Delivers commands.
        events: Tells those who wait here.
        clock: Tells the time.
        lease: After this time without a sign of life a gateway is lost.
    """

    def __init__(
        self,
        *,
        links: Links,
        gateways: Gateways,
        store: GatewayStore,
        dispatch: Dispatch,
        events: CommandEvents,
        clock: Clock,
        lease: timedelta,
    ) -> None:
        self._links, self._gateways, self._store = links, gateways, store
        self._dispatch, self._events = dispatch, events
        self._clock, self._lease = clock, lease
        self._reconcile_at = time.monotonic() + lease.total_seconds()
        self._fair_from = time.monotonic() + lease.total_seconds()

    # --- what other replicas tell

    def wake(self, charge_point_id: str) -> None:
        """Deliver what waits for a charge point, if it is held here."""
        self._dispatch.look(charge_point_id)

    def command_changed(self, command_id: str) -> None:
        """Tell those who wait for a command here."""
        self._events.command_changed(command_id)

    def linked(self, gateway_id: str, epoch: int) -> None:
        """End the link of a gateway that has a newer one."""
        self._links.replace(gateway_id, epoch)

    def leases(self) -> Sequence[Lease]:
        """Return what this replica holds."""
        return self._links.leases()

    def superseded(self, lease: Lease) -> None:
        """Let go of a charge point that has a newer connection, or link, elsewhere."""
        self._links.fence(lease)

    # --- what is done from time to time

    async def end_replaced_links(self) -> None:
        """End links that have been replaced at another replica, which may have told nobody."""
        links = self._links.all()
        if links:
            epochs = await self._store.epochs([link.gateway_id for link in links])
            for gateway_id, epoch in epochs.items():
                self.linked(gateway_id, epoch)

    async def sweep(self) -> None:
        """End what was under way at gateways that are lost."""
        alive_since = self._clock.now() - self._lease
        for instance_id in await self._store.silent(alive_since):
            await self._gateways.lost(instance_id, alive_since)

    async def _reconcile(self) -> None:
        """Settle, from time to time, what gateways never got."""
        if time.monotonic() < self._reconcile_at:
            return
        for link in self._links.all():
            await self._dispatch.reconcile(link)
        self._reconcile_at = time.monotonic() + self._lease.total_seconds()

    async def tend(self) -> None:
        """Look for commands, for links that were replaced, and for gateways that are lost.

        Nothing is swept before gateways have had a whole lease to tell that they live: after a
        start, and after the database was away, every lease seems to have run out.

        Raises:
            DatabaseUnavailable: It is away.
        """
        try:
            await self._reconcile()
            await self._dispatch.poll()
            await self.end_replaced_links()
            if time.monotonic() >= self._fair_from:
                await self.sweep()
        except PlatformError:
            self._fair_from = time.monotonic() + self._lease.total_seconds()
            raise


class Announcements:
    """Tells of commands that changed here: those who wait at this replica, and the others."""

    def __init__(self, here: CommandEvents, elsewhere: ConnectionRegistry) -> None:
        self._here, self._elsewhere = here, elsewhere

    def command_changed(self, command_id: str, command: Command | None = None) -> None:
        """Tell that a command changed; waits for nothing."""
        self._here.command_changed(command_id, command)
        self._elsewhere.command_changed(command_id)
