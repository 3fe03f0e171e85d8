"""Between OCPP's messages and facts."""

import dataclasses
import json
import uuid
from datetime import UTC, datetime

import pytest
from google.protobuf.descriptor import EnumDescriptor

from csms.ocpp.v16 import core_pb2, firmware_management_pb2, security_pb2
from device_service import ocpp
from servicekit.calls.server import CallContext

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CONTEXT = CallContext("CP-1", "conn-1", "msg-1", NOW, (), "")
NOTICE_ID = uuid.UUID(int=7)


def new_id() -> uuid.UUID:
    return NOTICE_ID


@pytest.mark.parametrize(
    "enum",
    [
        core_pb2.ChargePointStatus.DESCRIPTOR,
        core_pb2.ChargePointErrorCode.DESCRIPTOR,
        firmware_management_pb2.FirmwareStatus.DESCRIPTOR,
        firmware_management_pb2.DiagnosticsStatus.DESCRIPTOR,
        security_pb2.UploadLogStatus.DESCRIPTOR,
        security_pb2.SignedFirmwareStatus.DESCRIPTOR,
    ],
    ids=lambda enum: enum.name,
)
def test_every_value_has_its_own_word(enum: EnumDescriptor) -> None:
    words = ocpp.wire_words(enum)
    assert words.pop(0) == ""
    assert all(words.values())
    assert len(set(words.values())) == len(words) == len(enum.values) - 1


def test_payload_is_written_in_the_words_of_ocpp() -> None:
    request = security_pb2.SecurityEventNotificationRequest(type="Tamper", tech_info="\0 äé")
    request.timestamp.FromDatetime(NOW)
    assert json.loads(ocpp.payload_text(request)) == {
        "type": "Tamper",
        "timestamp": "2026-03-01T12:00:00Z",
        "techInfo": "\0 äé",
    }
    assert "\0" not in ocpp.payload_text(request)


def test_payload_keeps_what_is_set_and_nothing_else() -> None:
    request = security_pb2.LogStatusNotificationRequest(
        status=security_pb2.UPLOAD_LOG_STATUS_UPLOADED, request_id=0
    )
    assert ocpp.payload_text(request) == '{"status":"Uploaded","requestId":0}'
    request.ClearField("request_id")
    assert ocpp.payload_text(request) == '{"status":"Uploaded"}'


def test_notice_is_named_by_its_action() -> None:
    request = core_pb2.DataTransferRequest(vendor_id="V", data='{"a": 1}')
    notice = ocpp.notice(CONTEXT, request, new_id)
    assert (notice.action, notice.notice_id) == ("DataTransfer", NOTICE_ID)
    assert json.loads(notice.payload) == {"vendorId": "V", "data": '{"a": 1}'}


def test_only_a_repaired_message_needs_a_notice_of_its_own() -> None:
    request = core_pb2.BootNotificationRequest(charge_point_vendor="V", charge_point_model="M")
    assert ocpp.notice_of_repair(CONTEXT, request, new_id) is None
    repaired = dataclasses.replace(CONTEXT, repairs=("cut_text",), raw_frame="[2,\0]")
    notice = ocpp.notice_of_repair(repaired, request, new_id)
    assert notice is not None
    assert (notice.action, notice.repairs) == ("BootNotification", ("cut_text",))
    assert notice.raw_frame == "[2,\\u0000]"


def test_status_is_read_with_its_placeholders_taken_out() -> None:
    request = core_pb2.StatusNotificationRequest(
        connector_id=0,
        error_code=core_pb2.CHARGE_POINT_ERROR_CODE_NO_ERROR,
        status=core_pb2.CHARGE_POINT_STATUS_SUSPENDED_EVSE,
        info="null",
        vendor_error_code="0x0000",
        vendor_id="none",
    )
    connector = ocpp.connector(CONTEXT, request)
    assert (connector.status, connector.error_code) == ("SuspendedEVSE", "NoError")
    assert (connector.info, connector.vendor_error_code, connector.vendor_id) == ("", "", "")
    assert connector.status_time is None


def test_status_keeps_what_it_says() -> None:
    request = core_pb2.StatusNotificationRequest(
        connector_id=2,
        error_code=core_pb2.CHARGE_POINT_ERROR_CODE_EV_COMMUNICATION_ERROR,
        status=core_pb2.CHARGE_POINT_STATUS_FAULTED,
        info="pilot\0",
        vendor_error_code="0x0000",
        vendor_id="ABL",
    )
    request.timestamp.FromDatetime(NOW)
    connector = ocpp.connector(CONTEXT, request)
    assert connector.info == "pilot\\u0000"
    assert (connector.vendor_error_code, connector.vendor_id) == ("0x0000", "ABL")
    assert connector.error_code == "EVCommunicationError"
    assert connector.status_time == NOW
