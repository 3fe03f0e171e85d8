import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from ocpp.exceptions import PropertyConstraintViolationError
from ocpp.v16 import call, call_result

from simulator.charge_point import ChargePoint
from simulator.commands import routes
from simulator.session import Outlet
from simulator.settings import Model
from tests.integration.simulator.a_charge_point import SELDOM, charging
from tests.integration.simulator.central_system import CentralSystem, eventually
from tests.support.made_certificates import a_certificate

NEVER = datetime(2098, 1, 1, tzinfo=UTC).isoformat()
TWO = Model(
    vendor="Tidewell", name="Duo", firmware="1.0", outlets=(Outlet(max_power_w=22_000),) * 2
)
ROOT = "CentralSystemRootCertificate"


@asynccontextmanager
async def idle(central: CentralSystem, **options: Any) -> AsyncIterator[ChargePoint]:
    async with charging(central, pause_s=SELDOM, speed=1, **options) as charge_point:
        await eventually(charge_point.ready.is_set)
        yield charge_point


def last_status(central: CentralSystem, status: str, connector_id: int = 1) -> Callable[[], bool]:
    return lambda: central.statuses(connector_id)[-1:] == [status]


async def start(central: CentralSystem, id_tag: str = "FAR", **members: Any) -> str:
    members = {"connector_id": 1} | members
    answer = await central.call(call.RemoteStartTransaction(id_tag=id_tag, **members))
    return str(answer.status)


async def reserve(central: CentralSystem, connector_id: int = 1, **members: Any) -> str:
    members = {"id_tag": "VIP", "expiry_date": NEVER, "reservation_id": 5} | members
    answer = await central.call(call.ReserveNow(connector_id=connector_id, **members))
    return str(answer.status)


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


def told(central: CentralSystem, action: str) -> list[str]:
    return [payload["status"] for payload in central.payloads(action)]


def _log_is_uploading(central: CentralSystem, request_id: int) -> bool:
    last = {"status": "Uploading", "request_id": request_id}
    return central.payloads("LogStatusNotification")[-1:] == [last]


async def test_a_reserved_connector_waits_for_its_driver(central: CentralSystem) -> None:
    async with idle(central):
        assert await reserve(central) == "Accepted"
        await eventually(last_status(central, "Reserved"))
        assert await reserve(central, reservation_id=6) == "Occupied"
        assert await start(central, "OTHER") == "Rejected"
        assert await start(central, "VIP") == "Accepted"
        await eventually(last_status(central, "Charging"))
        assert await reserve(central, reservation_id=7) == "Occupied"
        cancelled = await central.call(call.CancelReservation(reservation_id=5))
        assert cancelled.status == "Rejected"  # it is used up
    assert central.payloads("StartTransaction")[0]["reservation_id"] == 5


async def test_a_member_of_the_group_uses_a_reservation(central: CentralSystem) -> None:
    central.answers["Authorize"] = lambda **_: call_result.Authorize(
        {"status": "Accepted", "parent_id_tag": "GROUP"}
    )
    async with charging(central, pause_s=(0.5, 0.5), speed=1) as charge_point:
        await eventually(charge_point.ready.is_set)
        assert await reserve(central, parent_id_tag="GROUP") == "Accepted"
        await eventually(lambda: central.payloads("StartTransaction"))
    [start, *_] = central.payloads("StartTransaction")
    assert (start["id_tag"], start["reservation_id"]) == ("TAG-1", 5)


async def test_a_reservation_ends_by_itself_or_is_cancelled(central: CentralSystem) -> None:
    async with idle(central):
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        assert await reserve(central, expiry_date=soon) == "Accepted"
        await eventually(last_status(central, "Reserved"))
        await eventually(last_status(central, "Available"))
        assert await reserve(central) == "Accepted"
        await eventually(last_status(central, "Reserved"))
        answer = await central.call(call.CancelReservation(reservation_id=5))
        assert answer.status == "Accepted"
        await eventually(last_status(central, "Available"))


async def test_a_reservation_that_cannot_be_is_answered(central: CentralSystem) -> None:
    async with idle(central):
        assert await reserve(central, 9) == "Rejected"
        assert await reserve(central, expiry_date="2001-01-01T00:00:00Z") == "Rejected"
        with pytest.raises(PropertyConstraintViolationError):
            await reserve(central, expiry_date="tomorrow")
        await central.call(call.ChangeAvailability(connector_id=1, type="Inoperative"))
        assert await reserve(central) == "Unavailable"


async def test_a_reservation_of_the_charge_point_keeps_one_connector(
    central: CentralSystem,
) -> None:
    async with idle(central, model=TWO):
        assert await reserve(central, 0) == "Accepted"
        assert await start(central, "OTHER", connector_id=1) == "Accepted"
        await eventually(last_status(central, "Charging"))
        assert await start(central, "OTHER", connector_id=2) == "Rejected"
        assert await start(central, "VIP", connector_id=2) == "Accepted"
        await eventually(last_status(central, "Charging", 2))
    assert [s.get("reservation_id") for s in central.payloads("StartTransaction")] == [None, 5]


async def test_a_profile_limits_a_transaction_until_its_end(central: CentralSystem) -> None:
    async with idle(central):
        assert await set_profile(central, 1, a_profile(2000)) == "Rejected"  # nothing runs
        assert await start(central) == "Accepted"
        await eventually(last_status(central, "Charging"))
        other = a_profile(2000, transaction_id=999)
        assert await set_profile(central, 1, other) == "Rejected"
        assert await set_profile(central, 1, a_profile(2000, transaction_id=41)) == "Accepted"
        await eventually(lambda: powers(central)[-1:] == [2000])
        assert await set_profile(central, 1, a_profile(0, transaction_id=41)) == "Accepted"
        await eventually(last_status(central, "SuspendedEVSE"))
        await central.call(call.RemoteStopTransaction(transaction_id=41))
        await eventually(last_status(central, "Available"))
        cleared = await central.call(call.ClearChargingProfile(id=3))
        assert cleared.status == "Unknown"


async def test_a_remote_start_brings_its_profile(central: CentralSystem) -> None:
    async with idle(central):
        wrong = a_profile(3000, "TxDefaultProfile")
        assert await start(central, charging_profile=wrong) == "Rejected"
        assert await start(central, charging_profile=a_profile(3000)) == "Accepted"
        await eventually(lambda: powers(central)[-1:] == [3000])


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


async def test_the_local_list_lets_drivers_charge_without_asking(central: CentralSystem) -> None:
    async with charging(central, pause_s=(1, 1), speed=1) as charge_point:
        await eventually(charge_point.ready.is_set)
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
        await eventually(lambda: central.payloads("StartTransaction"))
        assert central.payloads("Authorize") == []
        await central.call(call.ChangeConfiguration("LocalAuthListEnabled", "false"))
        assert (await central.call(call.GetLocalListVersion())).list_version == -1
        answer = await central.call(call.SendLocalList(7, "Full", entries))
        assert answer.status == "NotSupported"


@pytest.mark.parametrize(("place", "end"), [("logs", "Uploaded"), ("fail", "UploadFailed")])
async def test_diagnostics_are_uploaded(central: CentralSystem, place: str, end: str) -> None:
    async with idle(central):
        answer = await central.call(call.GetDiagnostics(location=f"ftp://files.example/{place}"))
        assert answer.file_name
        expected = ["Uploading", end]
        await eventually(lambda: told(central, "DiagnosticsStatusNotification") == expected)


async def test_a_new_request_for_a_log_ends_the_old_one(central: CentralSystem) -> None:
    async with idle(central, step_s=60):
        for number, status in ((1, "Accepted"), (2, "AcceptedCanceled")):
            place = {"remote_location": "https://files.example/logs"}
            answer = await central.call(call.GetLog(place, "SecurityLog", request_id=number))
            assert answer.status == status
            await eventually(partial(_log_is_uploading, central, number))


async def test_a_log_is_uploaded(central: CentralSystem) -> None:
    async with idle(central):
        place = {"remote_location": "https://files.example/fail"}
        await central.call(call.GetLog(place, "DiagnosticsLog", request_id=1))
        expected = ["Uploading", "UploadFailure"]
        await eventually(lambda: told(central, "LogStatusNotification") == expected)


@pytest.mark.parametrize(
    ("file", "train"),
    [
        ("kerb-2.5.0.bin", ["Downloading", "Downloaded", "Installing", "Installed"]),
        ("fail.bin", ["Downloading", "DownloadFailed"]),
        ("fail-install", ["Downloading", "Downloaded", "Installing", "InstallationFailed"]),
    ],
)
async def test_firmware_is_updated(central: CentralSystem, file: str, train: list[str]) -> None:
    async with idle(central):
        location = f"https://files.example/{file}"
        await central.call(call.UpdateFirmware(location, retrieve_date="2020-01-01T00:00:00Z"))
        await eventually(lambda: told(central, "FirmwareStatusNotification") == train)
    versions = [boot["firmware_version"] for boot in central.payloads("BootNotification")]
    assert versions == (["1.0", "2.5.0"] if train[-1] == "Installed" else ["1.0"])


@pytest.mark.parametrize(
    ("file", "train"),
    [
        (
            "kerb-2.5.bin",
            "Downloading Downloaded SignatureVerified Installing InstallRebooting Installed",
        ),
        ("fail-signature", "Downloading Downloaded InvalidSignature"),
    ],
)
async def test_signed_firmware_is_updated(central: CentralSystem, file: str, train: str) -> None:
    firmware = {
        "location": f"https://files.example/{file}",
        "retrieve_date_time": "2020-01-01T00:00:00Z",
        "signing_certificate": a_certificate(),
        "signature": "c2lnbmF0dXJl",
    }
    async with idle(central):
        answer = await central.call(call.SignedUpdateFirmware(8, firmware))
        assert answer.status == "Accepted"
        await eventually(lambda: told(central, "SignedFirmwareStatusNotification") == train.split())
        answer = await central.call(
            call.SignedUpdateFirmware(9, firmware | {"signing_certificate": "nonsense"})
        )
        assert answer.status == "InvalidCertificate"
        await eventually(lambda: central.payloads("SecurityEventNotification"))


async def test_root_certificates_come_and_go(central: CentralSystem) -> None:
    async with idle(central):
        ids = call.GetInstalledCertificateIds(certificate_type=ROOT)
        assert (await central.call(ids)).status == "NotFound"
        request = call.InstallCertificate(certificate_type=ROOT, certificate=a_certificate())
        assert (await central.call(request)).status == "Accepted"
        request = call.InstallCertificate(certificate_type=ROOT, certificate="nonsense")
        assert (await central.call(request)).status == "Rejected"
        [hash_data] = (await central.call(ids)).certificate_hash_data
        for status in ("Accepted", "NotFound"):
            answer = await central.call(call.DeleteCertificate(certificate_hash_data=hash_data))
            assert answer.status == status
        await eventually(lambda: central.payloads("SecurityEventNotification"))
    [event] = central.payloads("SecurityEventNotification")
    assert event["type"] == "InvalidCentralSystemCertificate"


async def test_a_certificate_has_to_fit_the_key(central: CentralSystem) -> None:
    async with idle(central) as charge_point:
        request = call.ExtendedTriggerMessage(requested_message="SignChargePointCertificate")
        assert (await central.call(request)).status == "Accepted"
        await eventually(lambda: central.payloads("SignCertificate"))
        for key, status in ((charge_point.key, "Accepted"), (None, "Rejected")):
            chain = a_certificate(key, subject="CP-1", issuer="Root")
            answer = await central.call(call.CertificateSigned(certificate_chain=chain))
            assert answer.status == status
        await eventually(lambda: central.payloads("SecurityEventNotification"))
    assert central.payloads("SignCertificate")[0]["csr"].startswith("-----BEGIN CERTIFICATE REQ")


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
        await eventually(lambda: len(central.payloads(sent)) > before)


async def test_the_whole_charge_point_goes_out_of_service(central: CentralSystem) -> None:
    async with idle(central, model=TWO):
        assert await start(central) == "Accepted"
        await eventually(last_status(central, "Charging"))
        request = call.ChangeAvailability(connector_id=0, type="Inoperative")
        assert (await central.call(request)).status == "Scheduled"
        await eventually(last_status(central, "Unavailable", 2))
        assert central.statuses(0) == ["Available"]
        await central.call(call.RemoteStopTransaction(transaction_id=41))
        await eventually(last_status(central, "Unavailable", 0))
        await eventually(last_status(central, "Unavailable", 1))
        request = call.ChangeAvailability(connector_id=0, type="Operative")
        assert (await central.call(request)).status == "Accepted"
        for number in range(3):
            await eventually(last_status(central, "Available", number))
        request = call.ChangeAvailability(connector_id=9, type="Operative")
        assert (await central.call(request)).status == "Rejected"


async def test_a_new_password_is_used_at_once(central: CentralSystem) -> None:
    async with idle(central):
        assert "Authorization" not in central.headers
        request = call.ChangeConfiguration(key="AuthorizationKey", value="sixteen-letters-")
        assert (await central.call(request)).status == "Accepted"
        await eventually(lambda: central.connections == 2)
        assert central.headers["Authorization"].startswith("Basic ")
        answer = await central.call(call.GetConfiguration(key=["AuthorizationKey"]))
        assert "value" not in answer.configuration_key[0]


async def test_transactions_are_stopped_when_the_power_goes(central: CentralSystem) -> None:
    async with idle(central) as charge_point:
        assert await start(central) == "Accepted"
        await eventually(last_status(central, "Charging"))
        async with asyncio.timeout(2):
            await charge_point.power_down()
    [stop] = central.payloads("StopTransaction")
    assert (stop["reason"], stop["transaction_id"]) == ("PowerLoss", 41)


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


async def test_every_operation_has_a_row(central: CentralSystem) -> None:
    async with idle(central) as charge_point:
        assert len(routes(charge_point)) == 26
