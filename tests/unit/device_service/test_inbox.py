"""What becomes of facts that are stored together."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from device_service.domain import Connector, UnknownChargePoints
from device_service.facts import Fact, Registration, StatusReported
from device_service.use_cases import Inbox, InboxRules
from servicekit.clock import SystemClock
from servicekit.errors import DatabaseUnavailable

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AWAY = DatabaseUnavailable("The database cannot be reached.")


class HalfStored:
    """A recorder that stores the facts about connector 1."""

    async def submit(self, item: Fact) -> Registration | None:
        raise AssertionError(item)

    async def submit_all(self, items: Sequence[Fact]) -> Sequence[Registration | Exception | None]:
        return [
            None if isinstance(item, StatusReported) and item.connector.connector_id == 1 else AWAY
            for item in items
        ]


async def test_each_fact_has_an_outcome_of_its_own() -> None:
    rules = InboxRules(
        UnknownChargePoints.REJECT,
        heartbeat_interval=timedelta(minutes=5),
        retry_interval=timedelta(seconds=30),
        vendor_ids=frozenset(),
    )
    inbox = Inbox(HalfStored(), SystemClock(), uuid.uuid4, rules)
    facts = [
        StatusReported(Connector("CP-1", number, "Charging", "NoError", NOW))
        for number in (1, 2, 1)
    ]
    assert await inbox.store_all(facts) == [None, AWAY, None]
