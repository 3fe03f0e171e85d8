"""Diagnostics and logs that are uploaded, firmware that is downloaded."""

from functools import partial

import pytest
from ocpp.v16 import call

from tests.integration.simulator.central_system import CentralSystem
from tests.integration.simulator.commands import idle
from tests.support.made_certificates import a_certificate
from tests.support.waiting import until


def told(central: CentralSystem, action: str) -> list[str]:
    return [payload["status"] for payload in central.payloads(action)]


def log_is_uploading(central: CentralSystem, request_id: int) -> bool:
    last = {"status": "Uploading", "request_id": request_id}
    return central.payloads("LogStatusNotification")[-1:] == [last]


@pytest.mark.parametrize(("place", "end"), [("logs", "Uploaded"), ("fail", "UploadFailed")])
async def test_diagnostics_are_uploaded(central: CentralSystem, place: str, end: str) -> None:
    async with idle(central):
        answer = await central.call(call.GetDiagnostics(location=f"ftp://files.example/{place}"))
        assert answer.file_name
        expected = ["Uploading", end]
        await until(lambda: told(central, "DiagnosticsStatusNotification") == expected)


async def test_a_new_request_for_a_log_ends_the_old_one(central: CentralSystem) -> None:
    async with idle(central, step_s=60):
        for number, status in ((1, "Accepted"), (2, "AcceptedCanceled")):
            place = {"remote_location": "https://files.example/logs"}
            answer = await central.call(call.GetLog(place, "SecurityLog", request_id=number))
            assert answer.status == status
            await until(partial(log_is_uploading, central, number))


async def test_a_log_is_uploaded(central: CentralSystem) -> None:
    async with idle(central):
        place = {"remote_location": "https://files.example/fail"}
        await central.call(call.GetLog(place, "DiagnosticsLog", request_id=1))
        expected = ["Uploading", "UploadFailure"]
        await until(lambda: told(central, "LogStatusNotification") == expected)


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
        await until(lambda: told(central, "FirmwareStatusNotification") == train)
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
        await until(lambda: told(central, "SignedFirmwareStatusNotification") == train.split())
        answer = await central.call(
            call.SignedUpdateFirmware(9, firmware | {"signing_certificate": "nonsense"})
        )
        assert answer.status == "InvalidCertificate"
        await until(lambda: central.payloads("SecurityEventNotification"))
