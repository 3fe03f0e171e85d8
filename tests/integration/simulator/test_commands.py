import pytest
from ocpp.v16 import call

from simulator.commands import routes
from tests.integration.simulator.a_charge_point import charging
from tests.integration.simulator.central_system import CentralSystem
from tests.integration.simulator.commands import TWO, idle, last_status, start
from tests.support.waiting import until


async def test_the_local_list_lets_drivers_charge_without_asking(central: CentralSystem) -> None:
    async with charging(central, pause_s=(1, 1), speed=1) as charge_point:
        await until(charge_point.ready.is_set)
        await central.call(call.ChangeConfiguration("LocalPreAuthorize", "true"))
        entries = [{"id_tag": "TAG-1", "id_tag_info": {"status": "Accepted"}}]
        for version, kind, status in (
            (4, "Full", "Accepted"),
            (4, "Differential", "VersionMismatch"),
            (5, "Differential", "Accepted"),
        ):
            answer = await central.call(call.SendLocalList(version, kind, entries))
            assert answer.status == status
        answer = await central.call(call.SendLocalList(6, "Full", entries * 2))
        assert answer.status == "Failed"
        assert (await central.call(call.GetLocalListVersion())).list_version == 5
        await until(lambda: central.payloads("StartTransaction"))
        assert central.payloads("Authorize") == []
        await central.call(call.ChangeConfiguration("LocalAuthListEnabled", "false"))
        assert (await central.call(call.GetLocalListVersion())).list_version == -1
        answer = await central.call(call.SendLocalList(7, "Full", entries))
        assert answer.status == "NotSupported"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("BootNotification", "BootNotification"),
        ("LogStatusNotification", "LogStatusNotification"),
        ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
        ("Heartbeat", "Heartbeat"),
        ("MeterValues", "MeterValues"),
        ("StatusNotification", "StatusNotification"),
    ],
)
async def test_a_message_is_triggered_by_the_extension(
    central: CentralSystem, asked: str, sent: str
) -> None:
    async with idle(central):
        before = len(central.payloads(sent))
        answer = await central.call(call.ExtendedTriggerMessage(requested_message=asked))
        assert answer.status == "Accepted"
        await until(lambda: len(central.payloads(sent)) > before)


async def test_the_whole_charge_point_goes_out_of_service(central: CentralSystem) -> None:
    async with idle(central, model=TWO):
        assert await start(central) == "Accepted"
        await until(last_status(central, "Charging"))
        request = call.ChangeAvailability(connector_id=0, type="Inoperative")
        assert (await central.call(request)).status == "Scheduled"
        await until(last_status(central, "Unavailable", 2))
        assert central.statuses(0) == ["Available"]
        await central.call(call.RemoteStopTransaction(transaction_id=41))
        await until(last_status(central, "Unavailable", 0))
        await until(last_status(central, "Unavailable", 1))
        request = call.ChangeAvailability(connector_id=0, type="Operative")
        assert (await central.call(request)).status == "Accepted"
        for number in range(3):
            await until(last_status(central, "Available", number))
        request = call.ChangeAvailability(connector_id=9, type="Operative")
        assert (await central.call(request)).status == "Rejected"


async def test_transactions_are_stopped_when_the_power_goes(central: CentralSystem) -> None:
    async with idle(central) as charge_point:
        assert await start(central) == "Accepted"
        await until(last_status(central, "Charging"))
        await charge_point.power_down()
    [stop] = central.payloads("StopTransaction")
    assert (stop["reason"], stop["transaction_id"]) == ("PowerLoss", 41)


async def test_every_operation_has_a_row(central: CentralSystem) -> None:
    async with idle(central) as charge_point:
        assert len(routes(charge_point)) == 26
