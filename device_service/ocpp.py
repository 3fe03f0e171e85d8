"""Between OCPP's messages and facts; see `convert` for the operators' API."""

import functools
from datetime import datetime, timedelta
from typing import Any

import orjson
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from csms.ocpp.v16 import core_pb2, wire_pb2
from device_service.domain import BootAnswer, Connector, Hardware, Notice, State, said
from device_service.domain import vendor_error_code as meaningful_error_code
from servicekit.calls.server import CallContext
from servicekit.ids import IdSource
from servicekit.timestamps import to_datetime, to_timestamp

_REGISTRATION_STATUS = {
    State.PENDING: core_pb2.REGISTRATION_STATUS_PENDING,
    State.ACCEPTED: core_pb2.REGISTRATION_STATUS_ACCEPTED,
    State.REJECTED: core_pb2.REGISTRATION_STATUS_REJECTED,
}


@functools.cache
def wire_words(enum: EnumDescriptor) -> dict[int, str]:
    """Return the spelling of each value of an enum in OCPP JSON; empty for no value."""
    return {value.number: value.GetOptions().Extensions[wire_pb2.wire] for value in enum.values}


def word(message: Message, field: str) -> str:
    """Return a message's enum field in OCPP's word; empty when it is not set."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    return wire_words(descriptor.enum_type).get(getattr(message, field), "")


def payload_text(message: Message) -> str:
    """Return a flat payload as compact JSON in OCPP's words, with the fields that are set."""
    members = {
        field.json_name: _member(message, field, value) for field, value in message.ListFields()
    }
    return orjson.dumps(members).decode()


def notice(context: CallContext, request: Message, new_id: IdSource) -> Notice:
    """Return what a charge point told, as a notice."""
    return Notice(
        notice_id=new_id(),
        charge_point_id=context.charge_point_id,
        connection_id=context.connection_id,
        message_id=storable(context.message_id),
        action=request.DESCRIPTOR.name.removesuffix("Request"),
        payload=payload_text(request),
        receive_time=context.receive_time,
        raw_frame=storable(context.raw_frame),
        repairs=context.repairs,
    )


def notice_of_repair(context: CallContext, request: Message, new_id: IdSource) -> Notice | None:
    """Return the notice that keeps a repaired message; None where the payload says everything."""
    return notice(context, request, new_id) if context.repairs else None


def hardware(request: core_pb2.BootNotificationRequest) -> Hardware:
    """Return what a charge point says about itself."""
    return Hardware(
        vendor=storable(request.charge_point_vendor),
        model=storable(request.charge_point_model),
        serial_number=storable(request.charge_point_serial_number),
        charge_box_serial_number=storable(request.charge_box_serial_number),
        firmware_version=storable(request.firmware_version),
        iccid=storable(request.iccid),
        imsi=storable(request.imsi),
        meter_type=storable(request.meter_type),
        meter_serial_number=storable(request.meter_serial_number),
    )


def connector(context: CallContext, request: core_pb2.StatusNotificationRequest) -> Connector:
    """Return the connector with the status that is reported."""
    error_code = word(request, "error_code")
    return Connector(
        charge_point_id=context.charge_point_id,
        connector_id=request.connector_id,
        status=word(request, "status"),
        error_code=error_code,
        receive_time=context.receive_time,
        info=said(storable(request.info)),
        vendor_id=said(storable(request.vendor_id)),
        vendor_error_code=meaningful_error_code(storable(request.vendor_error_code), error_code),
        status_time=_time(request.timestamp) if request.HasField("timestamp") else None,
    )


def to_boot_response(answer: BootAnswer) -> core_pb2.BootNotificationResponse:
    """Return what a charge point that booted is told."""
    return core_pb2.BootNotificationResponse(
        current_time=to_timestamp(answer.current_time),
        interval=answer.interval // timedelta(seconds=1),
        status=_REGISTRATION_STATUS[answer.status],
    )


def storable(text: str) -> str:
    r"""Return a text as PostgreSQL can hold it: its NUL characters become `\u0000`."""
    return text.replace("\0", "\\u0000")


def _member(message: Message, field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return word(message, field.name)
    if isinstance(value, Timestamp):
        time = _time(value)
        return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else None
    return value


def _time(timestamp: Timestamp) -> datetime | None:
    try:
        return to_datetime(timestamp)
    except ValueError:
        return None
