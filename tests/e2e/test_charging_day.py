"""A charge point that is not ours goes through its day; everything is read back."""

import json
from datetime import timedelta
from typing import Any

import grpc
import pytest
from ocpp.v16 import call
from ocpp.v16.enums import (
    AuthorizationStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    DataTransferStatus,
    DiagnosticsStatus,
    FirmwareStatus,
    Reason,
    RegistrationStatus,
)

from csms.v1 import session_service_pb2 as pb
from csms.v1 import session_service_pb2_grpc as pb_grpc
from deploy.embedded import Platform
from servicekit.grpc_client import open_channel
from tests.support.charge_points import boot, charge_point, ocpp_now
from tests.support.platform import assert_no_traceback
from tests.support.rest import Rest
from tests.support.waiting import eventually


def energy_sample(value: str) -> dict[str, Any]:
    return {
        "timestamp": ocpp_now(),
        "sampledValue": [
            {"value": value, "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
            {"value": "16.1", "measurand": "Current.Import", "unit": "A", "phase": "L1"},
        ],
    }


async def test_a_session_is_charged_and_read_back(platform: Platform, rest: Rest) -> None:
    await rest.add_id_tag("DAY-TAG")
    async with charge_point(platform.ocpp_url, "DAY-1") as station:
        booted = await boot(station)
        assert booted.status == RegistrationStatus.accepted
        assert booted.interval >= 60
        await station.call(
            call.StatusNotification(
                connector_id=1,
                error_code=ChargePointErrorCode.no_error,
                status=ChargePointStatus.preparing,
                timestamp=ocpp_now(),
            )
        )
        assert (await station.call(call.Heartbeat())).current_time.endswith("Z")
        authorized = await station.call(call.Authorize(id_tag="DAY-TAG"))
        assert authorized.id_tag_info["status"] == AuthorizationStatus.accepted
        started = await station.call(
            call.StartTransaction(
                connector_id=1, id_tag="DAY-TAG", meter_start=1000, timestamp=ocpp_now()
            )
        )
        assert started.id_tag_info["status"] == AuthorizationStatus.accepted
        running = (await rest.sessions_of("DAY-1"))[0]
        assert running["state"] == "STATE_ACTIVE"
        await station.call(
            call.MeterValues(
                connector_id=1,
                transaction_id=started.transaction_id,
                meter_value=[energy_sample("2500")],
            )
        )
        assert (await rest.get(f"/v1/{running['name']}"))["energyWh"] == "1500"
        await station.call(
            call.StopTransaction(
                transaction_id=started.transaction_id,
                meter_stop=8000,
                timestamp=ocpp_now(timedelta(minutes=30)),
                reason=Reason.ev_disconnected,
                id_tag="DAY-TAG",
            )
        )
    session = await rest.get(f"/v1/{running['name']}")
    assert session["state"] == "STATE_COMPLETED"
    assert session["energyWh"] == "7000"
    assert (session["meterStartWh"], session["meterStopWh"]) == ("1000", "8000")
    assert session["stopReason"] == "EVDisconnected"
    assert session["ocppTransactionId"] == str(started.transaction_id)
    assert session["chargePoint"] == "chargePoints/DAY-1"
    assert session["startTime"] < session["stopTime"]
    values = await rest.get(f"/v1/{running['name']}/meterValues")
    sampled = values["meterValues"][0]["sampledValues"]
    assert [item["value"] for item in sampled] == ["2500", "16.1"]
    assert sampled[1]["phase"] == "L1"
    await the_same_over_grpc(platform, session)
    assert_no_traceback(platform)


async def the_same_over_grpc(platform: Platform, session: dict[str, Any]) -> None:
    channel = open_channel(platform.rest_url.removeprefix("http://"))
    stub = pb_grpc.SessionServiceStub(channel)
    read = await stub.GetSession(pb.GetSessionRequest(name=session["name"]), timeout=10)
    assert (read.energy_wh, read.stop_reason) == (7000, "EVDisconnected")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.GetSession(pb.GetSessionRequest(name="sessions/none"), timeout=10)
    assert raised.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    await channel.close()


async def test_what_is_reported_is_kept(platform: Platform, rest: Rest) -> None:
    async with charge_point(platform.ocpp_url, "REPORT-1") as station:
        await boot(station)
        transferred = await station.call(call.DataTransfer(vendor_id="com.acme", data='{"a":1}'))
        assert transferred.status == DataTransferStatus.unknown_vendor_id
        await station.call(call.DiagnosticsStatusNotification(status=DiagnosticsStatus.uploaded))
        await station.call(call.FirmwareStatusNotification(status=FirmwareStatus.installing))
        point = await rest.charge_point("REPORT-1")
        notices = (await rest.get("/v1/chargePoints/REPORT-1/notices"))["notices"]
    assert (point["firmwareStatus"], point["diagnosticsStatus"]) == ("Installing", "Uploaded")
    assert (point["vendor"], point["model"]) == ("Acme", "Wall 11")
    assert [notice["action"] for notice in notices] == [
        "FirmwareStatusNotification",
        "DiagnosticsStatusNotification",
        "DataTransfer",
    ]
    assert json.loads(notices[2]["payload"]) == {"vendorId": "com.acme", "data": '{"a":1}'}


async def test_status_and_presence_are_shown(platform: Platform, rest: Rest) -> None:
    async with charge_point(platform.ocpp_url, "PRESENT-1") as station:
        await boot(station)
        await station.call(
            call.StatusNotification(
                connector_id=2,
                error_code=ChargePointErrorCode.ground_failure,
                status=ChargePointStatus.faulted,
                info="earth leakage",
                timestamp=ocpp_now(),
            )
        )
        connector = await rest.get("/v1/chargePoints/PRESENT-1/connectors/2")

        async def online() -> bool:
            return bool((await rest.charge_point("PRESENT-1"))["online"])

        await eventually(online)
    assert connector["status"] == "Faulted"
    assert connector["errorCode"] == "GroundFailure"
    assert connector["info"] == "earth leakage"

    async def offline() -> bool:
        return not await online()

    await eventually(offline)


async def test_tags_that_may_not_charge_are_told_so(platform: Platform, rest: Rest) -> None:
    await rest.add_id_tag("BLOCKED-TAG", blocked=True)
    await rest.add_id_tag("EXPIRED-TAG", expireTime="2020-01-01T00:00:00Z")
    async with charge_point(platform.ocpp_url, "TAGS-1") as station:
        await boot(station)
        for tag, status in (
            ("BLOCKED-TAG", "Blocked"),
            ("EXPIRED-TAG", "Expired"),
            ("NOBODY", "Invalid"),
        ):
            authorized = await station.call(call.Authorize(id_tag=tag))
            assert authorized.id_tag_info["status"] == status
            started = await station.call(
                call.StartTransaction(
                    connector_id=1, id_tag=tag, meter_start=0, timestamp=ocpp_now()
                )
            )
            assert started.id_tag_info["status"] == status
            assert started.transaction_id > 0
            await station.call(
                call.StopTransaction(
                    transaction_id=started.transaction_id, meter_stop=10, timestamp=ocpp_now()
                )
            )
    sessions = await rest.sessions_of("TAGS-1")
    assert {item["state"] for item in sessions} == {"STATE_COMPLETED"}
    assert [item["authorizationStatus"] for item in sessions] == ["Invalid", "Expired", "Blocked"]


async def test_a_pending_charge_point_waits_for_an_operator(platform: Platform, rest: Rest) -> None:
    await rest.post("/v1/chargePoints", {"displayName": "Yard"}, chargePointId="JUDGED-1")
    await rest.post("/v1/chargePoints/JUDGED-1:reject")
    async with charge_point(platform.ocpp_url, "JUDGED-1") as station:
        assert (await boot(station)).status == RegistrationStatus.rejected
        await rest.post("/v1/chargePoints/JUDGED-1:accept")
        assert (await boot(station)).status == RegistrationStatus.accepted
