"""Processes are killed and stopped under charge points; no answered fact is lost or doubled."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus, WebSocketException

from deploy.embedded import Platform
from tests.support.charge_points import RawChargePoint, ocpp_now, raw_charge_point
from tests.support.platform import assert_no_traceback, running_platform
from tests.support.rest import Rest
from tests.support.waiting import eventually

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(180)]

CALL_TIMEOUT_S = "15"


@pytest.fixture(scope="module")
async def broken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform to break: a PostgreSQL of its own, short deadlines, strangers refused."""
    environment = {
        "gateway": {"CSMS_CALL_TIMEOUT_S": CALL_TIMEOUT_S},
        "device_service": {"CSMS_UNKNOWN_CHARGE_POINTS": "reject"},
        "session_service": {"CSMS_BOOT_SILENCE_S": "2", "CSMS_TEND_INTERVAL_S": "0.5"},
    }
    folder = tmp_path_factory.mktemp("broken")
    async with running_platform(folder, extra_env=environment) as platform:
        yield platform


@pytest.fixture(scope="module")
async def operator(broken: Platform) -> AsyncIterator[Rest]:
    rest = Rest(broken.rest_url)
    await rest.add_id_tag("FAULT-TAG")
    yield rest
    await rest.close()


async def register(operator: Rest, charge_point_id: str) -> str:
    await operator.post("/v1/chargePoints", chargePointId=charge_point_id)
    return charge_point_id


def start(meter: int = 0) -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "FAULT-TAG", "meterStart": meter, "timestamp": ocpp_now()}


def meter_values(value: int) -> dict[str, Any]:
    sample = {"value": str(value), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    return {"connectorId": 1, "meterValue": [{"timestamp": ocpp_now(), "sampledValue": [sample]}]}


async def send(charger: RawChargePoint, message_id: str, action: str, payload: Any) -> None:
    await charger.send(json.dumps([2, message_id, action, payload]))


async def test_a_service_killed_in_mid_call_answers_after_its_restart(
    broken: Platform, operator: Rest
) -> None:
    name = await register(operator, "KILL-1")
    async with raw_charge_point(broken.ocpp_url, name) as charger:
        await charger.boot()
        os.kill(broken.pid("session_service"), signal.SIGSTOP)  # it has the call, but no time
        await send(charger, "start-1", "StartTransaction", start())
        await broken.kill("session_service")
        await broken.start_part("session_service")
        answer = await charger.receive()
        assert answer[:2] == [3, "start-1"]
        assert answer[2]["idTagInfo"]["status"] == "Accepted"
    sessions = await operator.sessions_of(name)
    assert [item["ocppTransactionId"] for item in sessions] == [str(answer[2]["transactionId"])]


async def test_a_repeated_start_gets_the_same_answer_over_restarts(
    broken: Platform, operator: Rest
) -> None:
    name = await register(operator, "REPEAT-1")
    tag = await operator.add_id_tag("REPEAT-TAG", maxActiveTransactions=1)
    request = {**start(), "idTag": "REPEAT-TAG"}
    async with raw_charge_point(broken.ocpp_url, name) as charger:
        first = await charger.call("StartTransaction", request)
    await broken.kill("session_service")
    await broken.start_part("session_service")
    await operator.request("PATCH", f"/v1/{tag['name']}", json={"blocked": True})
    async with raw_charge_point(broken.ocpp_url, name) as charger:
        again = await charger.call("StartTransaction", request)
        assert again[2] == first[2]
        another = await charger.call("StartTransaction", {**request, "meterStart": 5})
    assert another[2]["idTagInfo"]["status"] == "Blocked"
    assert another[2]["transactionId"] != first[2]["transactionId"]
    assert len(await operator.sessions_of(name)) == 2


async def test_while_the_database_is_away_nothing_is_acknowledged(
    broken: Platform, operator: Rest
) -> None:
    name = await register(operator, "DATABASE-1")
    async with raw_charge_point(broken.ocpp_url, name) as charger:
        await charger.boot()
        await broken.stop_part("postgres")
        request = start(700)
        refused = await charger.call("StartTransaction", request)
        assert refused[0] == 4
        assert refused[2] == "InternalError"
        heartbeat = await charger.call("Heartbeat", {})
        assert heartbeat[0] == 3
        await broken.start_part("postgres")

        async def accepted() -> bool:
            answer = await charger.call("StartTransaction", request)
            return bool(answer[0] == 3)

        await eventually(accepted)
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        assert (await charger.call("StatusNotification", status))[0] == 3
    assert len(await operator.sessions_of(name)) == 1
    assert_no_traceback(broken)


async def test_a_database_killed_in_mid_call_is_a_pause(broken: Platform, operator: Rest) -> None:
    name = await register(operator, "DATABASE-2")
    async with raw_charge_point(broken.ocpp_url, name) as charger:
        await charger.boot()
        await broken.kill("postgres")
        await send(charger, "start-2", "StartTransaction", start())
        await broken.start_part("postgres")
        answer = await charger.receive()
    assert answer[:2] == [3, "start-2"]
    assert len(await operator.sessions_of(name)) == 1


async def test_what_was_answered_is_stored_once_whatever_dies(
    broken: Platform, operator: Rest
) -> None:
    chargers, messages = 20, 15
    names = [await register(operator, f"COUNT-{number}") for number in range(chargers)]
    killing = asyncio.create_task(_kill_in_turn(broken))
    answered = await asyncio.gather(*(_charge(broken.ocpp_url, name, messages) for name in names))
    await killing
    for name, readings in zip(names, answered, strict=True):
        (session,) = await operator.sessions_of(name)
        assert session["state"] == "STATE_COMPLETED"
        assert session["energyWh"] == str(messages)
        page = await operator.get(f"/v1/{session['name']}/meterValues", pageSize=1000)
        stored = [int(item["sampledValues"][0]["value"]) for item in page["meterValues"]]
        assert sorted(stored) == sorted(set(stored))
        assert set(stored) == readings


async def _kill_in_turn(platform: Platform) -> None:
    for part in ("session_service", "gateway", "auth_service", "device_service", "postgres"):
        await asyncio.sleep(0.5)
        await platform.kill(part)
        await platform.start_part(part)


async def _charge(ocpp_url: str, name: str, messages: int) -> set[int]:
    """Charge as a sensible charge point does: what has no CALLRESULT is sent again, unchanged."""
    facts: list[tuple[str, dict[str, Any]]] = [("StartTransaction", start())]
    facts += [("MeterValues", meter_values(number + 1)) for number in range(messages)]
    answered: set[int] = set()
    transaction_id = 0
    while facts:
        action, payload = facts[0]
        answer = await _answer(ocpp_url, name, action, payload, transaction_id)
        if answer is None:
            continue
        facts.pop(0)
        transaction_id = answer.get("transactionId", transaction_id)
        if action == "MeterValues":
            answered.add(int(payload["meterValue"][0]["sampledValue"][0]["value"]))
    stop = {"meterStop": messages, "timestamp": ocpp_now()}
    while await _answer(ocpp_url, name, "StopTransaction", stop, transaction_id) is None:
        pass
    return answered


async def _answer(
    ocpp_url: str, name: str, action: str, payload: dict[str, Any], transaction_id: int
) -> dict[str, Any] | None:
    """Return the CALLRESULT's payload; None when the line dropped or it was a CALLERROR."""
    if action != "StartTransaction":
        payload = {**payload, "transactionId": transaction_id}
    try:
        async with raw_charge_point(ocpp_url, name) as charger:
            answer = await charger.call(action, payload)
    except (OSError, WebSocketException):
        await asyncio.sleep(0.2)
        return None
    return dict(answer[2]) if answer[0] == 3 else None


async def test_a_session_that_a_boot_has_swallowed_is_given_up_until_its_stop_comes(
    broken: Platform, operator: Rest
) -> None:
    name = await register(operator, "REBOOT-1")

    async def the_session() -> dict[str, Any]:
        (session,) = await operator.sessions_of(name)
        return session

    async def given_up() -> bool:
        return bool((await the_session())["stopSource"] == "SOURCE_INFERRED")

    async with raw_charge_point(broken.ocpp_url, name) as charger:
        started = await charger.call("StartTransaction", start(700))
        await charger.call("MeterValues", {**meter_values(900), **of(started)})
        assert not await given_up()
        await charger.boot()
        await eventually(given_up)
        session = await the_session()
        assert (session["energyWh"], session["flags"]) == ("200", ["STOP_MISSING_BOOT"])
        stop = {"meterStop": 1500, "timestamp": ocpp_now(), **of(started)}
        assert (await charger.call("StopTransaction", stop))[0] == 3
    session = await the_session()
    assert (session["stopSource"], session["energyWh"]) == ("SOURCE_STATION", "800")
    assert session["flags"] == ["END_CORRECTED"]


def of(started: Any) -> dict[str, int]:
    """Return the transaction id of an answered start, as later calls name it."""
    return {"transactionId": started[2]["transactionId"]}


async def test_the_newest_socket_is_the_charge_point(broken: Platform, operator: Rest) -> None:
    name = await register(operator, "TWINS-1")

    async def online() -> bool:
        return bool((await operator.charge_point(name))["online"])

    async with raw_charge_point(broken.ocpp_url, name) as older:
        async with raw_charge_point(broken.ocpp_url, name) as newer:
            assert (await older.boot())[2]["status"] == "Accepted"
            assert (await newer.boot())[2]["status"] == "Accepted"
            await eventually(online)
            await newer.socket.close()
            assert (await older.call("Heartbeat", {}))[0] == 3
            await eventually(online)
        async with raw_charge_point(broken.ocpp_url, name) as newest:
            await older.socket.close()
            assert (await newest.call("Heartbeat", {}))[0] == 3
            await eventually(online)

        async def offline() -> bool:
            return not await online()

        await eventually(offline)


async def test_a_killed_gateway_leaves_its_charge_points_offline(
    broken: Platform, operator: Rest
) -> None:
    name = await register(operator, "GATEWAY-1")

    async def online() -> bool:
        return bool((await operator.charge_point(name))["online"])

    async def offline() -> bool:
        return not await online()

    async with raw_charge_point(broken.ocpp_url, name) as charger:
        await charger.boot()
        await eventually(online)
        await broken.kill("gateway")
        await broken.start_part("gateway")
        await eventually(offline)


async def test_a_stranger_is_refused_and_listed(broken: Platform, operator: Rest) -> None:
    for _ in range(2):
        with pytest.raises(InvalidStatus) as refused:
            async with raw_charge_point(broken.ocpp_url, "STRANGER-1"):
                pass
        assert refused.value.response.status_code == 404
    listed = await operator.get("/v1/refusedHandshakes")
    (entry,) = [
        item for item in listed["refusedHandshakes"] if item["chargePointId"] == "STRANGER-1"
    ]
    assert (entry["reason"], entry["refuseCount"]) == ("unknown_charge_point", "2")


async def test_health_names_the_part_that_is_away(broken: Platform, operator: Rest) -> None:
    await broken.stop_part("auth_service")
    report = await operator.get("/healthz", expect=503)
    assert report["parts"]["auth_service"] != "SERVING"
    assert report["parts"]["session_service"] == "SERVING"
    await broken.start_part("auth_service")
    await eventually(operator.is_healthy)
