"""Both sides of a command: a charge point on its socket, an operator at the REST API."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, Reason

from deploy.embedded import Platform
from tests.support.charge_points import boot, ocpp_now
from tests.support.commanded import Commanded, commanded
from tests.support.rest import Rest
from tests.support.waiting import eventually

ACCEPTED = {"status": "Accepted"}
REJECTED = {"status": "Rejected"}
METER_START_WH = 1000


@dataclass(frozen=True)
class Subject:
    """A charge point and what an operator sees of it."""

    identity: str
    point: Commanded
    rest: Rest

    @property
    def asked(self) -> list[tuple[str, Any]]:
        """The calls that the charge point got."""
        return self.point.asked

    @property
    def id_tag(self) -> str:
        """A tag of this charge point alone."""
        return f"{self.identity}-TAG"[:20]

    @property
    def path(self) -> str:
        """The path of the charge point in the REST API."""
        return f"/v1/chargePoints/{self.identity}"

    async def command(self, **command: Any) -> Any:
        """Send a command as an operator and return it as it ended."""
        ended = await self.rest.post(f"{self.path}/commands", command, wait="10s")
        stored = await self.rest.get(f"/v1/{ended['name']}")
        assert stored == ended
        return ended

    async def answer_to(self, **command: Any) -> Any:
        """Send a command and return the charge point's answer to it, without the action's name."""
        ended = await self.command(**command)
        assert ended["state"] == "STATE_COMPLETED", ended
        (answer,) = ended["response"].values()
        return answer

    async def connector(self, connector_id: int = 1) -> Any:
        """Return a connector as it is stored."""
        return await self.rest.get(f"{self.path}/connectors/{connector_id}")

    async def sessions(self) -> list[dict[str, Any]]:
        """Return the charge point's sessions, newest first."""
        return await self.rest.sessions_of(self.identity)

    async def notices(self, action: str) -> Any:
        """Return the stored notices of one action, newest first."""
        return (await self.rest.get(f"{self.path}/notices", action=action))["notices"]

    async def authorize(self, id_tag: str = "") -> str:
        """Return the status that the charge point is told of a tag."""
        authorized = await self.point.call(call.Authorize(id_tag=id_tag or self.id_tag))
        return str(authorized.id_tag_info["status"])

    async def status(
        self,
        status: ChargePointStatus,
        connector_id: int = 1,
        error: ChargePointErrorCode = ChargePointErrorCode.no_error,
    ) -> None:
        """Report a status; it is stored when the charge point has its answer."""
        notification = call.StatusNotification(
            connector_id=connector_id, error_code=error, status=status
        )
        await self.point.call(notification)
        stored = await self.connector(connector_id)
        assert (stored["status"], stored["errorCode"]) == (status, error)

    async def start(self, *, id_tag: str = "", ago: timedelta = timedelta(0), **more: Any) -> Any:
        """Start a transaction and return the answer."""
        started = await self.point.call(
            call.StartTransaction(
                connector_id=1,
                id_tag=id_tag or self.id_tag,
                meter_start=METER_START_WH,
                timestamp=ocpp_now(-ago),
                **more,
            )
        )
        assert (await self.sessions())[0]["ocppTransactionId"] == str(started.transaction_id)
        return started

    async def stop(
        self,
        started: Any,
        reason: Reason | None = None,
        *,
        ago: timedelta = timedelta(0),
        **more: Any,
    ) -> Any:
        """Stop a transaction and return its session."""
        await self.point.call(
            call.StopTransaction(
                transaction_id=started.transaction_id,
                meter_stop=METER_START_WH + 500,
                timestamp=ocpp_now(-ago),
                reason=reason,
                **more,
            )
        )
        session = (await self.sessions())[0]
        assert (session["state"], session["energyWh"]) == ("STATE_COMPLETED", "500")
        assert session.get("stopReason") == reason
        return session

    async def is_online(self) -> bool:
        """Tell whether the charge point is online in the REST API."""
        return bool((await self.rest.charge_point(self.identity))["online"])


@dataclass(frozen=True)
class Stage:
    """A platform and its REST API: where charge points and operators meet."""

    platform: Platform
    rest: Rest

    @asynccontextmanager
    async def subject(
        self, identity: str, *, tagged: bool = False, **answers: Mapping[str, Any] | None
    ) -> AsyncIterator[Subject]:
        """Connect and boot a charge point; answers are given by action.

        Args:
            identity: The charge point's identity, such as the name of a certification case.
            tagged: Whether the platform knows its tag.
            answers: What the charge point answers to each action; None: nothing.
        """
        async with commanded(self.platform.ocpp_url, identity, answers) as point:
            subject = Subject(identity, point, self.rest)
            assert (await boot(point.station)).status == "Accepted"
            if tagged:
                await self.rest.add_id_tag(subject.id_tag)
            await eventually(subject.is_online)
            yield subject
