"""An operator starts and stops sessions; the charge point is one of the `ocpp` package."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import Reason

from deploy.embedded import Platform
from tests.support.charge_points import boot, ocpp_now
from tests.support.commanded import Commanded, commanded
from tests.support.platform import assert_no_traceback
from tests.support.rest import Rest
from tests.support.waiting import eventually

UNKNOWN = "sessions/01900000-0000-7000-8000-000000000000"
ACTIONS = ("RemoteStartTransaction", "RemoteStopTransaction")


@asynccontextmanager
async def charger(
    platform: Platform, rest: Rest, identity: str, status: str = "Accepted"
) -> AsyncIterator[Commanded]:
    """Connect a charge point that answers remote starts and stops, for the length of the block."""
    answers = {action: {"status": status} for action in ACTIONS}
    async with commanded(platform.ocpp_url, identity, answers) as charger:
        await boot(charger.station)

        async def online() -> bool:
            return bool((await rest.charge_point(identity))["online"])

        await eventually(online)
        yield charger


async def start(
    rest: Rest, identity: str, *, expect: int = 200, connector: int = 2, **values: Any
) -> Any:
    body = {"idTag": "idTags/REMOTE-TAG", "connectorId": connector, "wait": "20s", **values}
    return await rest.post(f"/v1/chargePoints/{identity}:startSession", body, expect=expect)


async def stop(rest: Rest, session: str, *, expect: int = 200) -> Any:
    return await rest.post(f"/v1/{session}:stop", {"wait": "20s"}, expect=expect)


async def settled(rest: Rest, command: dict[str, Any]) -> dict[str, Any]:
    """Return a remote start when its session is there or has not come."""
    found: dict[str, Any] = {}

    async def is_settled() -> bool:
        found.update(await rest.get(f"/v1/{command['name']}"))
        return bool(found["sessionOutcome"] != "SESSION_OUTCOME_AWAITED")

    await eventually(is_settled)
    return found


def reason(refusal: dict[str, Any]) -> str:
    return str(refusal["details"][0]["reason"])


async def test_a_session_is_started_and_stopped_from_afar(platform: Platform, rest: Rest) -> None:
    await rest.add_id_tag("REMOTE-TAG")
    async with charger(platform, rest, "REMOTE-1") as remote:
        started = await start(rest, "REMOTE-1")
        assert started["state"] == "STATE_COMPLETED"
        assert started["response"]["remoteStartTransaction"]["status"].endswith("_ACCEPTED")
        assert started["sessionOutcome"] == "SESSION_OUTCOME_AWAITED"
        await remote.call(
            call.StartTransaction(
                connector_id=2, id_tag="REMOTE-TAG", meter_start=1000, timestamp=ocpp_now()
            )
        )
        linked = await settled(rest, started)
        assert linked["sessionOutcome"] == "SESSION_OUTCOME_STARTED"
        session = await rest.get(f"/v1/{linked['session']}")
        assert session["chargePoint"] == "chargePoints/REMOTE-1"
        assert (session["idTag"], session["connectorId"]) == ("idTags/REMOTE-TAG", 2)
        assert session["state"] == "STATE_ACTIVE"
        stopped = await stop(rest, session["name"])
        assert stopped["response"]["remoteStopTransaction"]["status"].endswith("_ACCEPTED")
        assert stopped["session"] == session["name"]
        transaction_id = int(session["ocppTransactionId"])
        assert remote.asked == [
            ("RemoteStartTransaction", {"connectorId": 2, "idTag": "REMOTE-TAG"}),
            ("RemoteStopTransaction", {"transactionId": transaction_id}),
        ]
        await remote.call(
            call.StopTransaction(
                transaction_id=transaction_id,
                meter_stop=4000,
                timestamp=ocpp_now(),
                reason=Reason.remote,
            )
        )
        ended = await rest.get(f"/v1/{session['name']}")
        assert (ended["state"], ended["stopReason"]) == ("STATE_COMPLETED", "Remote")
        refused = await stop(rest, session["name"], expect=400)
        assert reason(refused) == "SESSION_ALREADY_ENDED"
    assert_no_traceback(platform)


async def test_a_charge_point_may_refuse(platform: Platform, rest: Rest) -> None:
    async with charger(platform, rest, "REMOTE-2", "Rejected"):
        command = await start(rest, "REMOTE-2")
    assert command["state"] == "STATE_COMPLETED"
    assert command["response"]["remoteStartTransaction"]["status"].endswith("_REJECTED")
    assert command["sessionOutcome"] == "SESSION_OUTCOME_UNSPECIFIED"
    assert await rest.sessions_of("REMOTE-2") == []


async def test_the_same_request_is_sent_once(platform: Platform, rest: Rest) -> None:
    request_id = "5d0c5f0a-5a0b-4c70-9e0e-8f4b8d1a2c3d"
    async with charger(platform, rest, "REMOTE-3", "Rejected") as remote:
        first = await start(rest, "REMOTE-3", requestId=request_id)
        assert (await start(rest, "REMOTE-3", requestId=request_id))["name"] == first["name"]
        other = await start(rest, "REMOTE-3", requestId=request_id, connector=1, expect=400)
    assert reason(other) == "REQUEST_ID_REUSED"
    assert len(remote.asked) == 1


async def test_charge_points_that_are_away_are_not_asked(platform: Platform, rest: Rest) -> None:
    await rest.post("/v1/chargePoints", {}, chargePointId="REMOTE-4")
    refused = await start(rest, "REMOTE-4", expect=400)
    assert reason(refused) == "CHARGE_POINT_OFFLINE"
    assert refused["details"][0]["metadata"] == {"charge_point": "REMOTE-4"}


async def test_what_is_unknown_or_wrong_is_told(platform: Platform, rest: Rest) -> None:
    assert reason(await start(rest, "REMOTE-NONE", expect=404)) == "CHARGE_POINT_NOT_FOUND"
    assert reason(await stop(rest, UNKNOWN, expect=404)) == "SESSION_NOT_FOUND"
    refused = await start(rest, "REMOTE-4", idTag=f"idTags/{'X' * 21}", connector=0, expect=400)
    assert reason(refused) == "INVALID_REQUEST"
    violations = refused["details"][1]["fieldViolations"]
    assert {item["field"] for item in violations} >= {"id_tag"}
