"""The records of charge points, and what they report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from device_service.domain import (
    ChargePoint,
    ChargePointId,
    Connector,
    Notice,
    RefusedHandshake,
    State,
)
from device_service.facts import Fact, Registration
from servicekit.pagination import Page, PageRequest


class ChargePointStore(Protocol):
    """Keeps the records of charge points.

    `alive_since` is the time since which a gateway must have given a sign of life for its charge
    points to count as online.
    """

    async def find(self, key: ChargePointId, alive_since: datetime) -> ChargePoint | None:
        """Return the charge point with this identity, if there is one."""

    async def look_up(self, keys: Sequence[ChargePointId]) -> Sequence[bool | None]:
        """Tell of each, in order, whether it may come without a subprotocol; None: no record."""

    async def list(
        self, page: PageRequest, alive_since: datetime, state: State | None, online: bool | None
    ) -> Page[ChargePoint]:
        """Return a page of charge points, newest first; None keeps all."""

    async def add(self, charge_point: ChargePoint) -> None:
        """Keep a new charge point.

        Raises:
            ChargePointAlreadyExists: Its identity is taken.
        """

    async def change(
        self, key: ChargePointId, changes: Mapping[str, Any], expected_etag: str
    ) -> None:
        """Change attributes of a charge point; an empty etag stands for whatever is current.

        Raises:
            ChargePointNotFound: There is none.
            EtagMismatch: It has another etag than expected.
        """

    async def remove(self, key: ChargePointId) -> None:
        """Forget a charge point with its connectors and notices.

        Raises:
            ChargePointNotFound: There is none.
        """


class ReportStore(Protocol):
    """Shows what charge points reported."""

    async def find_connector(self, key: ChargePointId, number: int) -> Connector | None:
        """Return a connector, if it was ever reported."""

    async def list_connectors(
        self, page: PageRequest, key: ChargePointId | None
    ) -> Page[Connector]:
        """Return a page of connectors by charge point and number, of one charge point or all.

        Raises:
            ChargePointNotFound: There is no such charge point.
        """

    async def list_notices(
        self, page: PageRequest, key: ChargePointId | None, action: str
    ) -> Page[Notice]:
        """Return a page of notices, newest first, of one charge point or all, one action or all.

        Raises:
            ChargePointNotFound: There is no such charge point.
        """

    async def list_refused_handshakes(self, page: PageRequest) -> Page[RefusedHandshake]:
        """Return a page of refused handshakes, newest first."""


class Recorder(Protocol):
    """Stores facts; those that come at the same time are committed together."""

    async def submit(self, item: Fact) -> Registration | None:
        """Return once the fact is committed; a boot has what the record of its charge point says.

        Raises:
            QueueFull: Too many facts wait already.
            DatabaseUnavailable: The fact was not stored.
        """

    async def submit_all(self, items: Sequence[Fact]) -> Sequence[Registration | Exception | None]:
        """Return once all facts are settled: for each the same, or why it was not stored.

        Raises:
            QueueFull: Too many facts wait already.
        """
