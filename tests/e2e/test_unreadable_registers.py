"""A register that nobody can read costs neither the answer nor the session."""

from typing import Any

import pytest

from deploy.embedded import Platform
from tests.support.charge_points import ocpp_now, raw_charge_point
from tests.support.platform import assert_no_traceback
from tests.support.rest import Rest

NOTHING: dict[str, Any] = {}


def values(register: str) -> dict[str, Any]:
    sample = {"value": register, "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    return {"connectorId": 1, "meterValue": [{"timestamp": ocpp_now(), "sampledValue": [sample]}]}


@pytest.mark.parametrize(
    "register",
    [{"meterStop": "abc"}, {"meterStop": None}, NOTHING, {"meterStop": 2**64}],
    ids=["text", "null", "missing", "64-bits"],
)
async def test_a_stop_without_a_readable_register_is_answered_stored_and_flagged(
    platform: Platform, rest: Rest, request: pytest.FixtureRequest, register: dict[str, Any]
) -> None:
    name = f"UNREAD-{request.node.callspec.id}"
    start = {"connectorId": 1, "idTag": "UNREAD", "meterStart": 1000, "timestamp": ocpp_now()}
    async with raw_charge_point(platform.ocpp_url, name) as station:
        await station.boot()
        transaction_id = (await station.call("StartTransaction", start))[2]["transactionId"]
        await station.call("MeterValues", values("1900"))
        stop = {"transactionId": transaction_id, "timestamp": ocpp_now(), "reason": "Local"}
        answers = [await station.call("StopTransaction", stop | register) for _ in range(2)]
    assert [answer[0] for answer in answers] == [3, 3]
    assert answers[0][2] == answers[1][2]
    (session,) = await rest.sessions_of(name)
    assert (session["stopSource"], session["stopReason"]) == ("SOURCE_STATION", "Local")
    assert (session["stopTime"], session["energyWh"]) == (stop["timestamp"], "900")
    assert session["flags"] == ["STOP_REPAIRED", "METER_STOP_UNKNOWN"]
    kept = await rest.get("/v1/quarantine", chargePoint=f"chargePoints/{name}")
    assert kept["quarantineEntries"] == []
    assert_no_traceback(platform)


async def test_a_start_without_a_readable_register_is_answered_stored_and_flagged(
    platform: Platform, rest: Rest
) -> None:
    start = {"connectorId": 1, "idTag": "UNREAD", "meterStart": "---", "timestamp": ocpp_now()}
    async with raw_charge_point(platform.ocpp_url, "UNREAD-start") as station:
        await station.boot()
        answers = [await station.call("StartTransaction", start) for _ in range(2)]
        (session,) = await rest.sessions_of("UNREAD-start")
        assert "energyWh" not in session
        await station.call("MeterValues", values("1900"))
        transaction_id = answers[0][2]["transactionId"]
        stop = {"transactionId": transaction_id, "meterStop": 2500, "timestamp": ocpp_now()}
        await station.call("StopTransaction", stop)
    assert answers[0][2] == answers[1][2]
    (session,) = await rest.sessions_of("UNREAD-start")
    assert (session["meterStartWh"], session["energyWh"]) == ("1900", "600")
    assert session["flags"] == ["START_REPAIRED", "METER_START_UNKNOWN"]
    assert_no_traceback(platform)
