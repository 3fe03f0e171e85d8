"""The certification cases of the firmware management profile: firmware and diagnostics."""

from ocpp.v16 import call
from ocpp.v16.enums import ChargePointStatus, DiagnosticsStatus, FirmwareStatus

from tests.support.charge_points import boot
from tests.support.subject import Stage, Subject

FIRMWARE_URL = "ftp://files.example/firmware.bin"
UPLOAD_URL = "ftp://files.example/uploads"


async def update_firmware(subject: Subject) -> None:
    """Ask for an update at once; its answer has no members."""
    request = {"location": FIRMWARE_URL, "retrieveDate": "2026-01-02T03:04:05Z"}
    assert await subject.answer_to(updateFirmware=request) == {}
    wire = {"location": FIRMWARE_URL, "retrieveDate": "2026-01-02T03:04:05Z"}
    assert subject.asked == [("UpdateFirmware", wire)]


async def report_firmware(subject: Subject, *statuses: FirmwareStatus) -> None:
    """Report each status; the charge point shows it as soon as it is answered."""
    for status in statuses:
        await subject.point.call(call.FirmwareStatusNotification(status=status))
        stored = await subject.rest.charge_point(subject.identity)
        assert stored["firmwareStatus"] == status
    notices = await subject.notices("FirmwareStatusNotification")
    assert len(notices) == len(statuses)


async def test_tc_044_1_firmware_update_installed(stage: Stage) -> None:
    """Every step of the update is answered and shown, and the boot after it is accepted."""
    async with stage.subject("TC_044_1", UpdateFirmware={}) as subject:
        await update_firmware(subject)
        await report_firmware(subject, FirmwareStatus.downloading, FirmwareStatus.downloaded)
        await subject.status(ChargePointStatus.unavailable)
        await subject.point.call(call.FirmwareStatusNotification(status=FirmwareStatus.installing))
        assert (await boot(subject.point.station)).status == "Accepted"
        await subject.status(ChargePointStatus.available)
        await subject.point.call(call.FirmwareStatusNotification(status=FirmwareStatus.installed))
        stored = await subject.rest.charge_point(subject.identity)
        assert stored["firmwareStatus"] == "Installed"


async def test_tc_044_2_firmware_update_download_failed(stage: Stage) -> None:
    """A download that failed is answered and shown."""
    async with stage.subject("TC_044_2", UpdateFirmware={}) as subject:
        await update_firmware(subject)
        await report_firmware(subject, FirmwareStatus.downloading, FirmwareStatus.download_failed)


async def test_tc_044_3_firmware_update_installation_failed(stage: Stage) -> None:
    """An installation that failed is answered and shown."""
    async with stage.subject("TC_044_3", UpdateFirmware={}) as subject:
        await update_firmware(subject)
        await report_firmware(
            subject,
            FirmwareStatus.downloading,
            FirmwareStatus.downloaded,
            FirmwareStatus.installing,
            FirmwareStatus.installation_failed,
        )


async def get_diagnostics(subject: Subject) -> None:
    """Ask for an upload; the name of the file reaches the operator."""
    answer = await subject.answer_to(getDiagnostics={"location": UPLOAD_URL})
    assert answer == {"fileName": "diagnostics.zip"}
    assert subject.asked == [("GetDiagnostics", {"location": UPLOAD_URL})]


async def report_diagnostics(subject: Subject, *statuses: DiagnosticsStatus) -> None:
    """Report each status; the charge point shows it as soon as it is answered."""
    for status in statuses:
        await subject.point.call(call.DiagnosticsStatusNotification(status=status))
        stored = await subject.rest.charge_point(subject.identity)
        assert stored["diagnosticsStatus"] == status


async def test_tc_045_1_get_diagnostics_uploaded(stage: Stage) -> None:
    """The upload's steps are answered and shown."""
    answer = {"fileName": "diagnostics.zip"}
    async with stage.subject("TC_045_1", GetDiagnostics=answer) as subject:
        await get_diagnostics(subject)
        await report_diagnostics(subject, DiagnosticsStatus.uploading, DiagnosticsStatus.uploaded)


async def test_tc_045_2_get_diagnostics_upload_failed(stage: Stage) -> None:
    """An upload that failed is answered and shown."""
    answer = {"fileName": "diagnostics.zip"}
    async with stage.subject("TC_045_2", GetDiagnostics=answer) as subject:
        await get_diagnostics(subject)
        failed = DiagnosticsStatus.upload_failed
        await report_diagnostics(subject, DiagnosticsStatus.uploading, failed)
