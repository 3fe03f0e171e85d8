"""The certification cases of the remote trigger profile."""

from typing import Any

import pytest
from ocpp.v16 import call
from ocpp.v16.enums import (
    ChargePointErrorCode,
    ChargePointStatus,
    DiagnosticsStatus,
    FirmwareStatus,
)

from tests.support.charge_points import ocpp_now
from tests.support.subject import ACCEPTED, REJECTED, Stage

STATUS = call.StatusNotification(
    connector_id=1, error_code=ChargePointErrorCode.no_error, status=ChargePointStatus.available
)
BOOT = call.BootNotification(charge_point_vendor="Acme", charge_point_model="Wall 11")
DIAGNOSTICS = call.DiagnosticsStatusNotification(status=DiagnosticsStatus.idle)
FIRMWARE = call.FirmwareStatusNotification(status=FirmwareStatus.idle)


def meter_values() -> call.MeterValues:
    sample = {"value": "10", "context": "Trigger"}
    return call.MeterValues(
        connector_id=1, meter_value=[{"timestamp": ocpp_now(), "sampledValue": [sample]}]
    )


@pytest.mark.parametrize(
    ("word", "wire", "connector", "report"),
    [
        ("METER_VALUES", "MeterValues", {"connectorId": 1}, meter_values()),
        ("HEARTBEAT", "Heartbeat", {}, call.Heartbeat()),
        ("STATUS_NOTIFICATION", "StatusNotification", {"connectorId": 1}, STATUS),
        ("DIAGNOSTICS_STATUS_NOTIFICATION", "DiagnosticsStatusNotification", {}, DIAGNOSTICS),
        ("FIRMWARE_STATUS_NOTIFICATION", "FirmwareStatusNotification", {}, FIRMWARE),
        ("BOOT_NOTIFICATION", "BootNotification", {}, BOOT),
    ],
)
async def test_tc_054_trigger_message(
    stage: Stage, word: str, wire: str, connector: dict[str, Any], report: Any
) -> None:
    """The central system asks for one message, and answers it when it comes."""
    async with stage.subject(f"TC_054_{wire}", TriggerMessage=ACCEPTED) as subject:
        request = {"requestedMessage": f"MESSAGE_TRIGGER_{word}", **connector}
        answer = await subject.answer_to(triggerMessage=request)
        assert answer == {"status": "TRIGGER_MESSAGE_STATUS_ACCEPTED"}
        assert subject.asked == [("TriggerMessage", {"requestedMessage": wire, **connector})]
        assert await subject.point.call(report) is not None


async def test_tc_055_trigger_message_rejected(stage: Stage) -> None:
    """A refusal to send a message ends the command with that answer."""
    async with stage.subject("TC_055", TriggerMessage=REJECTED) as subject:
        request = {"requestedMessage": "MESSAGE_TRIGGER_METER_VALUES"}
        answer = await subject.answer_to(triggerMessage=request)
        assert answer == {"status": "TRIGGER_MESSAGE_STATUS_REJECTED"}
        assert subject.asked == [("TriggerMessage", {"requestedMessage": "MeterValues"})]
