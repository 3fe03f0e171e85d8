import pytest
from ocpp.v16 import call

from tests.integration.simulator.central_system import CentralSystem
from tests.integration.simulator.commands import idle

_EARLY = (
    '[2,"x","ReserveNow",{"connectorId":-1,"expiryDate":"0001-01-01T00:00:00+23:59",'
    '"idTag":"A","reservationId":1}]'
)


def _set_profile(limit: str) -> str:
    text = (
        '[2,"x","SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":1,'
        '"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile",'
        '"chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"W",'
        '"chargingSchedulePeriod":[{"startPeriod":0,"limit":LIMIT}]}}}]'
    )
    return text.replace("LIMIT", limit)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "{}",
        "[2]",
        '[2,"x",{},{}]',
        '[2,"x","Reset",null]',
        '[2,7,"Reset",{}]',
        '[9,"x","Reset",{}]',
        "[" * 100_000,
        '[2,"x","NoSuchAction",{}]',
        '[2,"x","Reset",{"type":"Odd"}]',
        '[2,"x","GetCompositeSchedule",{"connectorId":1,"duration":1' + "0" * 400 + "}]",
        _EARLY,
        _set_profile("NaN"),
        _set_profile("1e999"),
        _set_profile("1e300"),
        _set_profile("0.05"),
        '[3,"unasked",{}]',
        '[4,"unasked","InternalError","",{}]',
    ],
)
async def test_no_frame_disturbs_a_charge_point(
    central: CentralSystem, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    async with idle(central):
        await central.send_raw(text)
        answer = await central.call(call.TriggerMessage(requested_message="Heartbeat"))
        assert answer.status == "Accepted"
    assert central.connections == 1
    shown = capfd.readouterr()
    assert "Traceback" not in shown.out + shown.err
