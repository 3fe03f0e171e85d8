from typing import Any

from ocpp.v16 import call

from tests.integration.simulator.central_system import CentralSystem
from tests.integration.simulator.commands import idle, last_status, start
from tests.support.waiting import until


def a_profile(limit: float, purpose: str = "TxProfile", **members: Any) -> dict[str, Any]:
    return {
        "charging_profile_id": 3,
        "stack_level": 0,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": "Relative",
        "charging_schedule": {
            "charging_rate_unit": "W",
            "charging_schedule_period": [{"start_period": 0, "limit": limit}],
        },
        **members,
    }


async def set_profile(central: CentralSystem, connector_id: int, profile: dict[str, Any]) -> str:
    request = call.SetChargingProfile(connector_id, cs_charging_profiles=profile)
    return str((await central.call(request)).status)


def powers(central: CentralSystem) -> list[float]:
    samples = [
        sample
        for payload in central.payloads("MeterValues")
        for value in payload["meter_value"]
        for sample in value["sampled_value"]
    ]
    return [float(one["value"]) for one in samples if one["measurand"] == "Power.Active.Import"]


async def test_a_profile_limits_a_transaction_until_its_end(central: CentralSystem) -> None:
    async with idle(central):
        assert await set_profile(central, 1, a_profile(2000)) == "Rejected"  # nothing runs
        assert await start(central) == "Accepted"
        await until(last_status(central, "Charging"))
        other = a_profile(2000, transaction_id=999)
        assert await set_profile(central, 1, other) == "Rejected"
        assert await set_profile(central, 1, a_profile(2000, transaction_id=41)) == "Accepted"
        await until(lambda: powers(central)[-1:] == [2000])
        assert await set_profile(central, 1, a_profile(0, transaction_id=41)) == "Accepted"
        await until(last_status(central, "SuspendedEVSE"))
        await central.call(call.RemoteStopTransaction(transaction_id=41))
        await until(last_status(central, "Available"))
        cleared = await central.call(call.ClearChargingProfile(id=3))
        assert cleared.status == "Unknown"


async def test_a_remote_start_brings_its_profile(central: CentralSystem) -> None:
    async with idle(central):
        wrong = a_profile(3000, "TxDefaultProfile")
        assert await start(central, charging_profile=wrong) == "Rejected"
        assert await start(central, charging_profile=a_profile(3000)) == "Accepted"
        await until(lambda: powers(central)[-1:] == [3000])


async def test_the_limits_ahead_are_told(central: CentralSystem) -> None:
    async with idle(central):
        whole = a_profile(6900, "ChargePointMaxProfile")
        assert await set_profile(central, 0, whole) == "Accepted"
        assert await set_profile(central, 1, whole) == "Rejected"
        request = call.GetCompositeSchedule(1, 3600, charging_rate_unit="A")
        answer = await central.call(request)
        assert (answer.status, answer.connector_id) == ("Accepted", 1)
        [period] = answer.charging_schedule["charging_schedule_period"]
        assert (period["start_period"], float(period["limit"])) == (0, 10.0)
        unknown = await central.call(call.GetCompositeSchedule(7, 3600))
        assert unknown.status == "Rejected"
        answer = await central.call(
            call.ClearChargingProfile(charging_profile_purpose="ChargePointMaxProfile")
        )
        assert answer.status == "Accepted"
