"""What charge points say, over a real Exchange stream."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from csms.ocpp.v16 import core_pb2, firmware_management_pb2, security_pb2
from csms.v1 import charge_point_service_pb2 as pb
from servicekit.status import reason_of
from tests.integration.device_service.conftest import StartPlatform
from tests.integration.device_service.gateway import (
    NOW,
    Caller,
    Platform,
    a_boot,
    a_status,
    ask,
    exchange,
)
from tests.support.pages import every_page

CHARGING = core_pb2.CHARGE_POINT_STATUS_CHARGING
AVAILABLE = core_pb2.CHARGE_POINT_STATUS_AVAILABLE
FINISHING = core_pb2.CHARGE_POINT_STATUS_FINISHING


def count(database_url: str, table: str) -> int:
    statement = {
        "status_history": "SELECT count(*) FROM device.status_history",
        "notices": "SELECT count(*) FROM device.notices",
    }[table]
    with psycopg.connect(database_url) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


async def test_boot_stores_the_hardware_and_tells_time_and_interval(platform: Platform) -> None:
    await platform.create("CP-1")
    platform.clock.move(minutes=1)
    boot = a_boot(
        charge_point_serial_number="S1",
        charge_box_serial_number="B1",
        firmware_version="1.0",
        iccid="",
        imsi="310",
        meter_type="DTZ",
        meter_serial_number="M\0",
    )
    answer = await ask(platform, Caller(platform.clock).request(boot))
    assert answer.status == core_pb2.REGISTRATION_STATUS_ACCEPTED
    assert answer.interval == 300
    assert answer.current_time.ToDatetime(UTC) == platform.clock.now()
    read = await platform.get("CP-1")
    assert (read.vendor, read.model, read.serial_number) == ("Vendor", "Model", "S1")
    assert (read.charge_box_serial_number, read.firmware_version) == ("B1", "1.0")
    assert (read.iccid, read.imsi) == ("", "310")
    assert (read.meter_type, read.meter_serial_number) == ("DTZ", "M\\u0000")
    assert read.last_boot_time.ToDatetime(UTC) == platform.clock.now()


async def test_boot_tells_the_interval_of_the_charge_point(platform: Platform) -> None:
    await platform.create("CP-1", heartbeat_interval=Duration(seconds=77))
    assert (await ask(platform, Caller(platform.clock).request(a_boot()))).interval == 77


async def test_pending_charge_point_is_accepted_at_the_boot_after_the_verb(
    start_platform: StartPlatform,
) -> None:
    platform = await start_platform(unknown_charge_points="pending")
    caller = Caller(platform.clock)
    pending = await ask(platform, caller.request(a_boot()))
    assert (pending.status, pending.interval) == (core_pb2.REGISTRATION_STATUS_PENDING, 60)
    await platform.charge_points.AcceptChargePoint(
        pb.AcceptChargePointRequest(name="chargePoints/CP-1")
    )
    accepted = await ask(platform, caller.request(a_boot()))
    assert (accepted.status, accepted.interval) == (core_pb2.REGISTRATION_STATUS_ACCEPTED, 300)


async def test_older_boot_does_not_overwrite_a_newer_one(platform: Platform) -> None:
    await platform.create("CP-1")
    caller = Caller(platform.clock)
    older = caller.request(a_boot(firmware_version="1"))
    platform.clock.move(minutes=1)
    await ask(platform, caller.request(a_boot(firmware_version="2")))
    answer = await ask(platform, older)
    assert answer.status == core_pb2.REGISTRATION_STATUS_ACCEPTED
    assert (await platform.get("CP-1")).firmware_version == "2"


async def test_boots_of_one_batch_are_all_answered(platform: Platform) -> None:
    await platform.create("CP-1")
    callers = [Caller(platform.clock, name) for name in ("CP-1", "CP-1", "CP-2")]
    answers = await exchange(platform, *(caller.request(a_boot()) for caller in callers))
    assert [answer.response.boot_notification.status for answer in answers] == [
        core_pb2.REGISTRATION_STATUS_ACCEPTED,
        core_pb2.REGISTRATION_STATUS_ACCEPTED,
        core_pb2.REGISTRATION_STATUS_REJECTED,
    ]


async def test_status_is_visible_once_it_is_answered(platform: Platform) -> None:
    reported = NOW - timedelta(seconds=3)
    status = a_status(CHARGING, reported, info="C;330", vendor_id="EVB", vendor_error_code="7")
    answer = await ask(platform, Caller(platform.clock).request(status))
    assert answer == core_pb2.StatusNotificationResponse()
    read = await platform.connector("CP-1", 1)
    assert (read.status, read.error_code) == ("Charging", "NoError")
    assert (read.info, read.vendor_id, read.vendor_error_code) == ("C;330", "EVB", "7")
    assert read.status_time.ToDatetime(UTC) == reported
    assert read.receive_time.ToDatetime(UTC) == NOW


async def test_status_of_the_whole_charge_point_is_connector_zero(platform: Platform) -> None:
    await ask(platform, Caller(platform.clock).request(a_status(connector_id=0)))
    assert (await platform.connector("CP-1", 0)).name == "chargePoints/CP-1/connectors/0"


async def test_stale_status_does_not_overwrite_a_newer_one(
    platform: Platform, database_url: str
) -> None:
    caller = Caller(platform.clock)
    await ask(platform, caller.request(a_status(AVAILABLE, NOW - timedelta(minutes=1))))
    await ask(platform, caller.request(a_status(CHARGING, NOW - timedelta(hours=1))))
    assert (await platform.connector("CP-1", 1)).status == "Available"
    assert count(database_url, "status_history") == 2


async def test_stale_status_does_not_overwrite_within_a_batch(
    platform: Platform, database_url: str
) -> None:
    callers = [Caller(platform.clock, connection=name) for name in ("1", "2", "3")]
    times = [NOW - timedelta(minutes=minutes) for minutes in (2, 1, 3)]
    statuses = (CHARGING, FINISHING, AVAILABLE)
    await exchange(
        platform,
        *(
            caller.request(a_status(status, time))
            for caller, status, time in zip(callers, statuses, times, strict=True)
        ),
    )
    assert (await platform.connector("CP-1", 1)).status == "Finishing"
    assert count(database_url, "status_history") == 3


@pytest.mark.parametrize(
    "lie", [NOW + timedelta(days=3650), datetime(1970, 1, 1, tzinfo=UTC)], ids=["future", "unset"]
)
async def test_clock_that_lies_blocks_no_later_status(platform: Platform, lie: datetime) -> None:
    caller = Caller(platform.clock)
    await ask(platform, caller.request(a_status(CHARGING, lie)))
    platform.clock.move(seconds=5)
    honest = a_status(AVAILABLE, platform.clock.now())
    await ask(platform, caller.request(honest))
    assert (await platform.connector("CP-1", 1)).status == "Available"
    platform.clock.move(seconds=5)
    await ask(platform, caller.request(a_status(FINISHING, lie)))
    read = await platform.connector("CP-1", 1)
    assert (read.status, read.status_time.ToDatetime(UTC)) == ("Finishing", lie)


async def test_status_without_time_goes_by_the_time_of_receipt(platform: Platform) -> None:
    caller = Caller(platform.clock)
    await ask(platform, caller.request(a_status(AVAILABLE, NOW)))
    platform.clock.move(seconds=1)
    await ask(platform, caller.request(a_status(CHARGING)))
    read = await platform.connector("CP-1", 1)
    assert read.status == "Charging"
    assert not read.HasField("status_time")


async def test_repeated_status_adds_nothing(platform: Platform, database_url: str) -> None:
    caller = Caller(platform.clock)
    first = caller.request(a_status(CHARGING, NOW))
    await exchange(platform, first, first)
    platform.clock.move(seconds=30)
    await ask(platform, caller.request(a_status(CHARGING, NOW)))  # a new message, the same fact
    assert count(database_url, "status_history") == 1
    await ask(platform, caller.request(a_status(CHARGING, NOW, info="more")))
    assert count(database_url, "status_history") == 2


async def test_status_without_time_is_a_new_fact_each_time(
    platform: Platform, database_url: str
) -> None:
    caller = Caller(platform.clock)
    first = caller.request(a_status(CHARGING))
    await ask(platform, first)
    await ask(platform, first)  # sent again after a broken stream: the time of receipt is the same
    assert count(database_url, "status_history") == 1
    platform.clock.move(seconds=30)
    await ask(platform, caller.request(a_status(CHARGING)))
    assert count(database_url, "status_history") == 2


async def test_status_longer_than_an_index_entry_is_stored(platform: Platform) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(5000))
    await ask(platform, Caller(platform.clock).request(a_status(info=text)))
    assert (await platform.connector("CP-1", 1)).info == text


async def test_repaired_messages_are_kept_as_they_were_sent(platform: Platform) -> None:
    await platform.create("CP-1")
    caller = Caller(platform.clock)
    repaired: dict[str, Any] = {"repairs": ["cut_text", "null_member"], "raw_frame": '[2,"1\0"]'}
    await ask(platform, caller.request(a_status(), **repaired))
    platform.clock.move(seconds=1)
    await ask(platform, caller.request(a_boot(), **repaired))
    boot, status = await platform.notices("CP-1")
    assert (boot.action, status.action) == ("BootNotification", "StatusNotification")
    assert list(status.repairs) == ["cut_text", "null_member"]
    assert status.raw_frame == '[2,"1\\u0000"]'


@pytest.mark.parametrize(
    ("vendor", "status"),
    [
        ("EV-BOX", core_pb2.DATA_TRANSFER_STATUS_ACCEPTED),
        ("ev-box", core_pb2.DATA_TRANSFER_STATUS_UNKNOWN_VENDOR_ID),
        ("", core_pb2.DATA_TRANSFER_STATUS_UNKNOWN_VENDOR_ID),
    ],
)
async def test_data_transfer_is_kept_whoever_the_vendor_is(
    start_platform: StartPlatform, vendor: str, status: core_pb2.DataTransferStatus.ValueType
) -> None:
    platform = await start_platform(data_transfer_vendor_ids=("EV-BOX",))
    await platform.create("CP-1")
    request = core_pb2.DataTransferRequest(vendor_id=vendor, message_id="m", data='{"x":"\0"}')
    answer = await ask(platform, Caller(platform.clock).request(request))
    assert answer.status == status
    (notice,) = await platform.notices("CP-1")
    assert notice.action == "DataTransfer"
    assert json.loads(notice.payload)["data"] == '{"x":"\0"}'


async def test_last_firmware_and_diagnostics_status_wins(platform: Platform) -> None:
    await platform.create("CP-1")
    caller = Caller(platform.clock)
    firmware = firmware_management_pb2.FirmwareStatusNotificationRequest
    for status in (
        firmware_management_pb2.FIRMWARE_STATUS_INSTALLED,
        firmware_management_pb2.FIRMWARE_STATUS_DOWNLOADING,
    ):
        platform.clock.move(seconds=1)
        await ask(platform, caller.request(firmware(status=status)))
    await ask(
        platform,
        caller.request(
            firmware_management_pb2.DiagnosticsStatusNotificationRequest(
                status=firmware_management_pb2.DIAGNOSTICS_STATUS_UPLOAD_FAILED
            )
        ),
    )
    read = await platform.get("CP-1")
    assert (read.firmware_status, read.diagnostics_status) == ("Downloading", "UploadFailed")
    payloads = [
        notice.payload
        for notice in await platform.notices("CP-1", action="FirmwareStatusNotification")
    ]
    assert payloads == ['{"status":"Downloading"}', '{"status":"Installed"}']


@pytest.mark.parametrize(
    ("request_message", "response", "action"),
    [
        (
            security_pb2.LogStatusNotificationRequest(
                status=security_pb2.UPLOAD_LOG_STATUS_UPLOADED, request_id=0
            ),
            security_pb2.LogStatusNotificationResponse(),
            "LogStatusNotification",
        ),
        (
            security_pb2.SecurityEventNotificationRequest(type="TamperDetectionActivated"),
            security_pb2.SecurityEventNotificationResponse(),
            "SecurityEventNotification",
        ),
        (
            security_pb2.SignedFirmwareStatusNotificationRequest(
                status=security_pb2.SIGNED_FIRMWARE_STATUS_INVALID_SIGNATURE
            ),
            security_pb2.SignedFirmwareStatusNotificationResponse(),
            "SignedFirmwareStatusNotification",
        ),
        (
            security_pb2.SignCertificateRequest(csr="-----BEGIN"),
            security_pb2.SignCertificateResponse(status=security_pb2.GENERIC_STATUS_REJECTED),
            "SignCertificate",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_security_message_is_answered_and_kept(
    platform: Platform, request_message: Message, response: Message, action: str
) -> None:
    await platform.create("CP-1")
    assert await ask(platform, Caller(platform.clock).request(request_message)) == response
    assert [item.action for item in await platform.notices("CP-1")] == [action]


async def test_call_that_is_sent_again_stores_one_notice(
    platform: Platform, database_url: str
) -> None:
    call = Caller(platform.clock).request(core_pb2.DataTransferRequest(vendor_id="V"))
    first = await exchange(platform, call, call)
    again = await exchange(platform, call)
    assert first[0].response == first[1].response == again[0].response
    assert count(database_url, "notices") == 1


async def test_message_id_that_is_used_again_makes_another_notice(
    platform: Platform, database_url: str
) -> None:
    request = core_pb2.DataTransferRequest(vendor_id="V")
    first = Caller(platform.clock).request(request)
    platform.clock.move(seconds=1)
    second = Caller(platform.clock).request(request)
    assert first.message_id == second.message_id
    await exchange(platform, first, second)
    assert count(database_url, "notices") == 2


async def test_facts_of_a_charge_point_without_a_record_are_kept(platform: Platform) -> None:
    caller = Caller(platform.clock, "gone")
    await ask(platform, caller.request(a_status()))
    await ask(platform, caller.request(core_pb2.DataTransferRequest(vendor_id="V")))
    assert (await platform.connector("gone", 1)).status == "Available"
    assert [item.action for item in await platform.notices("-")] == ["DataTransfer"]


async def test_pages_of_notices_go_from_newest_to_oldest(platform: Platform) -> None:
    await platform.create("CP-1")
    caller = Caller(platform.clock)
    for number in range(5):
        platform.clock.move(seconds=number % 2)
        await ask(platform, caller.request(core_pb2.DataTransferRequest(vendor_id=str(number))))
    request = pb.ListNoticesRequest(parent="chargePoints/CP-1", page_size=2)
    pages = await every_page(platform.charge_points.ListNotices, request)
    assert [page.total_size for page in pages] == [5, 5, 5]
    found = [json.loads(item.payload)["vendorId"] for page in pages for item in page.notices]
    assert found == ["4", "3", "2", "1", "0"]


async def test_call_of_another_service_is_refused(platform: Platform) -> None:
    call = Caller(platform.clock).request(core_pb2.AuthorizeRequest(id_tag="A"))
    (answer,) = await exchange(platform, call)
    assert reason_of(answer.error) == "ACTION_NOT_SUPPORTED"


async def test_many_charge_points_speak_at_once(platform: Platform, database_url: str) -> None:
    callers = [Caller(platform.clock, f"CP-{number}", f"c{number}") for number in range(200)]
    calls = [caller.request(a_status(CHARGING, NOW)) for caller in callers]
    await exchange(platform, *calls, *(caller.request(a_boot()) for caller in callers))
    assert count(database_url, "status_history") == 200
