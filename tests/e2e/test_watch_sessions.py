"""An operator watches sessions through Envoy, while session_service is killed and stopped."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest

from csms.v1 import session_service_pb2 as pb
from csms.v1 import session_service_pb2_grpc as pb_grpc
from deploy.embedded import Platform
from servicekit.grpc_client import open_channel
from servicekit.outbox.cursor import Cursor
from tests.support.charge_points import RawChargePoint, ocpp_now, raw_charge_point
from tests.support.errors import failure
from tests.support.platform import assert_no_traceback, running_platform
from tests.support.postgres import create_database
from tests.support.rest import Rest

pytestmark = [pytest.mark.xdist_group("watch_sessions"), pytest.mark.timeout(180)]

ID_TAG = "WATCH-TAG"
PATH = "/v1/sessions:watch"
Lines = AsyncIterator[str]


@pytest.fixture(scope="module")
async def restarted(
    postgres_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """A platform whose session_service may be killed."""
    folder = tmp_path_factory.mktemp("restarted")
    async with running_platform(folder, database_url=create_database(postgres_uri)) as platform:
        yield platform


@pytest.fixture(scope="module")
async def operator(restarted: Platform) -> AsyncIterator[Rest]:
    rest = Rest(restarted.rest_url)
    await rest.add_id_tag(ID_TAG)
    yield rest
    await rest.close()


@pytest.fixture
async def client(restarted: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=restarted.rest_url, timeout=60, trust_env=False
    ) as client:
        yield client


async def start(charger: RawChargePoint) -> int:
    request = {"connectorId": 1, "idTag": ID_TAG, "meterStart": 0, "timestamp": ocpp_now()}
    answer = await charger.call("StartTransaction", request)
    return int(answer[2]["transactionId"])


async def stop(charger: RawChargePoint, transaction_id: int) -> None:
    request = {"transactionId": transaction_id, "meterStop": 900, "timestamp": ocpp_now()}
    assert (await charger.call("StopTransaction", request))[0] == 3


async def next_event(lines: Lines) -> dict[str, Any]:
    """Return the next event that tells more than the cursor."""
    while (event := json.loads(await anext(lines)))["type"] == "TYPE_CURSOR":
        pass
    found: dict[str, Any] = event
    return found


async def test_watch_is_told_at_once_and_goes_on_after_a_kill(
    restarted: Platform, operator: Rest, client: httpx.AsyncClient
) -> None:
    async with raw_charge_point(restarted.ocpp_url, "WATCHED-1") as charger:
        await charger.boot()
        async with client.stream("GET", PATH) as answer:
            assert answer.headers["content-type"] == "application/json"
            lines = answer.aiter_lines()
            assert json.loads(await anext(lines))["type"] == "TYPE_CURSOR"
            transaction_id = await start(charger)
            started = await next_event(lines)
        await restarted.kill("session_service")
        await restarted.start_part("session_service")
        await stop(charger, transaction_id)
        (session,) = await operator.sessions_of("WATCHED-1")
        query = {"cursor": started["cursor"], "chargePoint": session["chargePoint"]}
        async with client.stream("GET", PATH, params=query) as answer:
            ended = await next_event(answer.aiter_lines())
    assert started["type"] == "TYPE_SESSION_STARTED"
    assert started["session"]["ocppTransactionId"] == str(transaction_id)
    assert (ended["type"], ended["session"]) == ("TYPE_SESSION_ENDED", session)
    assert_no_traceback(restarted, "gateway")


async def test_orderly_stop_tells_watchers_to_come_back(
    restarted: Platform, operator: Rest
) -> None:
    async with open_channel(restarted.rest_url.removeprefix("http://")) as channel:
        sessions = pb_grpc.SessionServiceStub(channel)
        watch = aiter(sessions.WatchSessions(pb.WatchSessionsRequest(), timeout=60))
        begin = await anext(watch)
        await restarted.stop_part("session_service")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await anext(watch)
        await restarted.start_part("session_service")
        ended = failure(raised)
        assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
        again = aiter(
            sessions.WatchSessions(pb.WatchSessionsRequest(cursor=begin.cursor), timeout=60)
        )
        assert (await anext(again)).cursor == begin.cursor


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [("nonsense", "INVALID_REQUEST"), (str(Cursor("another", 0)), "EVENT_CURSOR_EXPIRED")],
)
async def test_cursor_that_is_no_good_is_an_error(operator: Rest, cursor: str, reason: str) -> None:
    refused = await operator.get(PATH, expect=400, cursor=cursor)
    assert refused["details"][0]["reason"] == reason
