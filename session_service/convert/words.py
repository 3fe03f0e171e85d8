"""OCPP's words for the numbers of its enums, and OCPP's JSON for its messages."""

from typing import Any

import orjson
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from csms.ocpp.v16 import wire_pb2
from servicekit.timestamps import to_datetime


def words(enum: EnumDescriptor) -> dict[int, str]:
    """Return the spelling on the wire of every value of an enum, by number."""
    return {
        value.number: spelling
        for value in enum.values
        if (spelling := value.GetOptions().Extensions[wire_pb2.wire])
    }


def ocpp_json(message: Message) -> str:
    """Write a payload as OCPP JSON; for people, and not for speed."""
    return orjson.dumps(_payload(message)).decode()


def _payload(message: Message) -> Any:
    if isinstance(message, Timestamp):
        return to_datetime(message).isoformat().replace("+00:00", "Z")
    return {
        field.camelcase_name: _member(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _member(field: Any, value: Any) -> Any:
    return [_item(field, item) for item in value] if field.is_repeated else _item(field, value)


def _item(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return _payload(value)
    return words(field.enum_type).get(value, value) if field.enum_type is not None else value
