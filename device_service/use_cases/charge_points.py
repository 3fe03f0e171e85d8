"""What operators, gateways and charge points do with device_service."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from device_service.domain import (
    SUBPROTOCOL,
    BootAnswer,
    ChargePoint,
    ChargePointId,
    ChargePointNotFound,
    Connector,
    ConnectorNotFound,
    Hardware,
    Notice,
    RefusedHandshake,
    State,
    UnknownChargePoints,
    Verdict,
    charge_point_id,
    escaped,
)
from device_service.facts import BootReported, Fact, Introduced
from device_service.ports import ChargePointStore, Recorder, ReportStore
from servicekit.clock import Clock
from servicekit.ids import IdSource
from servicekit.pagination import Page, PageRequest

_MAX_STRANGER_TEXT = 100
UNKNOWN_CHARGE_POINT = "unknown_charge_point"
SUBPROTOCOL_MISSING = "subprotocol_missing"
MALFORMED_IDENTITY = "malformed_identity"


class ChargePoints:
    """Creates, reads, changes and deletes charge points, for operators.

    Args:
        store: Keeps the charge points.
        clock: Tells the time.
        new_id: Makes etags.
        gateway_lease: After this time without a beat a gateway's charge points are offline.
    """

    def __init__(
        self, store: ChargePointStore, clock: Clock, new_id: IdSource, gateway_lease: timedelta
    ) -> None:
        self._store, self._clock, self._new_id = store, clock, new_id
        self._gateway_lease = gateway_lease

    async def get(self, key: ChargePointId) -> ChargePoint:
        """Return a charge point.

        Raises:
            ChargePointNotFound: There is none with this identity.
        """
        charge_point = await self._store.find(key, self._alive_since())
        if charge_point is None:
            raise ChargePointNotFound(f"There is no charge point {key}.", charge_point=key)
        return charge_point

    async def list(
        self, page: PageRequest, state: State | None, online: bool | None
    ) -> Page[ChargePoint]:
        """Return a page of charge points, newest first."""
        return await self._store.list(page, self._alive_since(), state, online)

    async def create(self, key: ChargePointId, values: Mapping[str, Any]) -> ChargePoint:
        """Register an accepted charge point.

        Raises:
            ChargePointAlreadyExists: The identity is taken.
        """
        await self._store.add(
            new_charge_point(key, State.ACCEPTED, self._clock.now(), self._new_id().hex, **values)
        )
        return await self.get(key)

    async def update(
        self, key: ChargePointId, changes: Mapping[str, Any], etag: str
    ) -> ChargePoint:
        """Change attributes of a charge point; an empty etag stands for whatever is current.

        Raises:
            ChargePointNotFound: There is none with this identity.
            EtagMismatch: It has changed since the etag was read.
        """
        stamp = {"update_time": self._clock.now(), "etag": self._new_id().hex}
        await self._store.change(key, {**changes, **stamp}, etag)
        return await self.get(key)

    async def set_state(self, key: ChargePointId, state: State) -> ChargePoint:
        """Accept or reject a charge point; one that is so already does not change.

        Raises:
            ChargePointNotFound: There is none with this identity.
        """
        charge_point = await self.get(key)
        if charge_point.state is state:
            return charge_point
        return await self.update(key, {"state": state}, "")

    async def delete(self, key: ChargePointId) -> None:
        """Forget a charge point with its connectors and notices.

        Raises:
            ChargePointNotFound: There is none with this identity.
        """
        await self._store.remove(key)

    def _alive_since(self) -> datetime:
        return self._clock.now() - self._gateway_lease


class Reports:
    """Shows operators what charge points reported."""

    def __init__(self, store: ReportStore) -> None:
        self._store = store

    async def connector(self, key: ChargePointId, connector_id: int) -> Connector:
        """Return a connector.

        Raises:
            ConnectorNotFound: The charge point never reported it.
        """
        connector = await self._store.find_connector(key, connector_id)
        if connector is None:
            raise ConnectorNotFound(
                f"Charge point {key} never reported a connector {connector_id}.",
                charge_point=key,
                connector=connector_id,
            )
        return connector

    async def connectors(self, page: PageRequest, key: ChargePointId | None) -> Page[Connector]:
        """Return a page of connectors, of one charge point or all; see the port."""
        return await self._store.list_connectors(page, key)

    async def notices(
        self, page: PageRequest, key: ChargePointId | None, action: str
    ) -> Page[Notice]:
        """Return a page of notices, newest first; see the port."""
        return await self._store.list_notices(page, key, action)

    async def refused_handshakes(self, page: PageRequest) -> Page[RefusedHandshake]:
        """Return a page of refused handshakes, newest first."""
        return await self._store.list_refused_handshakes(page)


@dataclass(frozen=True)
class Handshake:
    """An opening handshake; `refusal_reason` is the gateway's own, empty: no objection."""

    identity: str
    remote_address: str
    subprotocols: Sequence[str]
    refusal_reason: str


class Admission:
    """Admits or refuses opening handshakes; what is to be stored is stored before it is told.

    Args:
        look_up: Tells whether a charge point may come without a subprotocol; None: no record.
        recorder: Stores who is new, and refusals.
        clock: Tells the time.
        new_id: Makes etags.
        unknown: What becomes of charge points without a record.
    """

    def __init__(
        self,
        look_up: Callable[[ChargePointId], Awaitable[bool | None]],
        recorder: Recorder,
        clock: Clock,
        new_id: IdSource,
        unknown: UnknownChargePoints,
    ) -> None:
        self._look_up, self._recorder, self._clock = look_up, recorder, clock
        self._new_id, self._unknown = new_id, unknown

    async def __call__(self, handshake: Handshake) -> tuple[Verdict, str]:
        """Return the verdict and the subprotocol to confirm; empty: none."""
        if handshake.refusal_reason:
            return await self._refuse(
                handshake, Verdict.REFUSED_BY_GATEWAY, handshake.refusal_reason
            )
        try:
            key = charge_point_id(handshake.identity)
        except ValueError:
            return await self._refuse(handshake, Verdict.REFUSED_BY_GATEWAY, MALFORMED_IDENTITY)
        return await self._judge(handshake, key)

    async def _judge(self, handshake: Handshake, key: ChargePointId) -> tuple[Verdict, str]:
        subprotocol_optional = await self._look_up(key)
        unknown = subprotocol_optional is None
        if unknown and self._unknown.state is None:
            return await self._refuse(handshake, Verdict.UNKNOWN_CHARGE_POINT, UNKNOWN_CHARGE_POINT)
        subprotocol = _confirmed(handshake.subprotocols, optional=bool(subprotocol_optional))
        if subprotocol is None:
            return await self._refuse(handshake, Verdict.SUBPROTOCOL_MISSING, SUBPROTOCOL_MISSING)
        if unknown and self._unknown.state is not None:
            now, etag = self._clock.now(), self._new_id().hex
            await self._recorder.submit(Introduced(key, self._unknown.state, now, etag))
        return Verdict.ADMITTED, subprotocol

    async def _refuse(
        self, handshake: Handshake, verdict: Verdict, reason: str
    ) -> tuple[Verdict, str]:
        now = self._clock.now()
        await self._recorder.submit(
            RefusedHandshake(
                charge_point_id=escaped(handshake.identity, _MAX_STRANGER_TEXT),
                reason=escaped(reason, _MAX_STRANGER_TEXT),
                remote_address=escaped(handshake.remote_address, _MAX_STRANGER_TEXT),
                first_refuse_time=now,
                last_refuse_time=now,
            )
        )
        return verdict, ""


@dataclass(frozen=True)
class InboxRules:
    """What the installation decided about answers.

    Attributes:
        unknown: What becomes of a boot of a charge point without a record.
        heartbeat_interval: Of charge points without an interval of their own.
        retry_interval: Until the next BootNotification of a charge point that is not accepted.
        vendor_ids: The vendors whose DataTransfer is accepted.
    """

    unknown: UnknownChargePoints
    heartbeat_interval: timedelta
    retry_interval: timedelta
    vendor_ids: frozenset[str]


class Inbox:
    """Stores what charge points say; every method returns after the commit."""

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        new_id: IdSource,
        rules: InboxRules,
    ) -> None:
        self._recorder, self._clock, self._new_id = recorder, clock, new_id
        self._rules = rules

    async def store(self, fact: Fact) -> None:
        """Store a fact that asks for no answer."""
        await self._recorder.submit(fact)

    async def store_all(self, facts: Sequence[Fact]) -> Sequence[Exception | None]:
        """Store facts that ask for no answer; return for each why it was not stored."""
        outcomes = await self._recorder.submit_all(facts)
        return [outcome if isinstance(outcome, Exception) else None for outcome in outcomes]

    async def boot(
        self, key: str, hardware: Hardware, receive_time: datetime, notice: Notice | None
    ) -> BootAnswer:
        """Store a boot and tell the charge point whether it takes part.

        It changes nothing about transactions: a boot is not their end.
        """
        registration = await self._recorder.submit(
            BootReported(
                key, receive_time, hardware, self._rules.unknown.state, self._new_id().hex, notice
            )
        )
        now = self._clock.now()
        if registration is None or registration.state is not State.ACCEPTED:
            state = registration.state if registration else State.REJECTED
            return BootAnswer(now, self._rules.retry_interval, state)
        interval = registration.heartbeat_interval or self._rules.heartbeat_interval
        return BootAnswer(now, interval, State.ACCEPTED)

    async def data_transfer(self, fact: Fact, vendor_id: str) -> bool:
        """Store vendor data and tell whether the vendor is a known one."""
        await self._recorder.submit(fact)
        return vendor_id in self._rules.vendor_ids


def new_charge_point(
    key: ChargePointId, state: State, now: datetime, etag: str, **values: Any
) -> ChargePoint:
    """Return a charge point that was never heard."""
    return ChargePoint(key, state, create_time=now, update_time=now, etag=etag, **values)


def _confirmed(offered: Sequence[str], *, optional: bool) -> str | None:
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    return "" if optional and not offered else None
