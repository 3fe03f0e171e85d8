"""A desk that hands out the commands it is given."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from device_service.ports import Delivery, Outcome
from servicekit.errors import PlatformError


class FakeDesk:
    """Implements the port `CommandDesk`, without a database.

    Attributes:
        commands: The ids of the commands that wait, by charge point.
        released: The ids of commands that were taken back.
        claims: How often a command was asked for, by charge point.
        instances: The gateway processes that commands were claimed for.
        outcomes: How commands ended.
        relinks: What gateway processes still know of.
        error: What a claim raises.
        gate: Claims wait until it is set.
    """

    def __init__(self) -> None:
        self.commands: dict[str, deque[str]] = defaultdict(deque)
        self.released: list[str] = []
        self.claims: dict[str, int] = defaultdict(int)
        self.instances: set[str] = set()
        self.outcomes: list[Outcome] = []
        self.relinks: list[tuple[str, set[str]]] = []
        self.error: PlatformError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def claim_next(
        self, charge_point_id: str, connection_id: str, gateway_instance_id: str
    ) -> Delivery | None:
        """Hand out the oldest command."""
        self.claims[charge_point_id] += 1
        self.instances.add(gateway_instance_id)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        waiting = self.commands[charge_point_id]
        if not waiting:
            return None
        expire = datetime(2026, 1, 1, tzinfo=UTC)
        patience = timedelta(seconds=60)
        return Delivery(
            waiting.popleft(), charge_point_id, connection_id, expire, patience, "", b""
        )

    async def sent(self, command_id: str, send_time: datetime) -> None:
        """Take note."""

    async def ended(self, outcome: Outcome) -> str:
        """Take note."""
        self.outcomes.append(outcome)
        return ""

    async def release(self, command_id: str) -> None:
        """Take a command back."""
        self.released.append(command_id)

    async def relinked(self, gateway_instance_id: str, unanswered: Collection[str]) -> None:
        """Take note."""
        self.relinks.append((gateway_instance_id, set(unanswered)))

    async def gateway_lost(self, gateway_instance_id: str) -> None:
        """Take note."""

    async def waiting(self, charge_point_ids: Collection[str]) -> Sequence[str]:
        """Return those of the charge points for which commands wait."""
        return [key for key in charge_point_ids if self.commands[key]]
