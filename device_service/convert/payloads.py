"""The requests that commands carry: which one, whether it keeps to OCPP's rules, what is secret.

The rules are the schemas of OCPP 1.6 and the field behaviours of the protos; every violation is
found at once. A required text must not be empty, because an empty text and none look the same; a
number that was left out is 0.
"""

from collections.abc import Iterator
from typing import Any, Final, cast

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from csms.ocpp.v16 import wire_pb2
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemAnswer, CentralSystemCall
from csms.v1 import command_service_pb2 as pb
from ocpp16.codec import Codec
from ocpp16.schemas import Path, SchemaError, Schemas
from servicekit.parsing import Parsing
from servicekit.timestamps import to_datetime

MAX_REQUEST_BYTES: Final = 256 * 1024
_MAY_BE_EMPTY: Final = frozenset({"csms.ocpp.v16.ChangeConfigurationRequest.value"})
_SECRET_KEYS: Final = frozenset({"authorizationkey"})
_MASK: Final = "***"
_DESCRIPTIONS: Final = {
    "maxLength": "must have at most {} characters",
    "maximum": "must be at most {}",
    "minimum": "must be at least {}",
    "maxItems": "must have at most {} items",
    "minItems": "must have at least {} items",
    "multipleOf": "must be a multiple of {}",
    "format": "must be a {}",
}
"""By keyword of JSON Schema; what stands in the braces is the limit."""


class Payloads:
    """Checks the payloads of commands; built once per process."""

    def __init__(self) -> None:
        self._codec, self._schemas = Codec(), Schemas()

    def request(self, field: Parsing, command: pb.Command) -> CentralSystemCall:
        """Return the request that a command carries; note what is wrong with it."""
        name = command.WhichOneof("payload")
        if name is None:
            field.refuse("command", "must hold exactly one request to the charge point")
            return CentralSystemCall()
        payload: Message = getattr(command, name)
        call = _call(name, payload)
        if call.ByteSize() > MAX_REQUEST_BYTES:
            field.refuse(f"command.{name}", f"must be at most {MAX_REQUEST_BYTES} bytes")
            return call
        for path, description in self._violations(name, payload):
            field.refuse(f"command.{name}{path}", description)
        return call

    def action(self, call: CentralSystemCall) -> str:
        """Name the action of a request, as in `Reset`."""
        return self._codec.central_system_calls.action_of(call)

    def _violations(self, name: str, payload: Message) -> Iterator[tuple[str, str]]:
        whole = type(payload)()
        whole.CopyFrom(payload)
        found = dict(_complete(whole, ""))
        yield from found.items()
        call = _call(name, whole)
        action = self.action(call)
        json = self._codec.request_to_json(action, call)
        for error in self._schemas.request(action).errors(json):
            path = _field_path(payload, error.path)
            if path not in found:
                yield path, _description(error)


def _call(name: str, payload: Message) -> CentralSystemCall:
    fields: dict[str, Any] = {name: payload}
    return CentralSystemCall(**fields)


def is_accepted(response: bytes) -> bool:
    """Tell whether a serialized answer of a charge point says Accepted."""
    answer = CentralSystemAnswer.FromString(response)
    name = answer.WhichOneof("response")
    if name is None:
        return False
    message = getattr(answer, name)
    status = message.DESCRIPTOR.fields_by_name.get("status")
    if status is None or status.enum_type is None:
        return False
    value = status.enum_type.values_by_number.get(message.status)
    return value is not None and value.GetOptions().Extensions[wire_pb2.wire] == "Accepted"


def mask_secrets(command: pb.Command) -> None:
    """Overwrite the secrets that a command holds: nobody needs to read them again."""
    change = command.change_configuration
    if command.WhichOneof("payload") == "change_configuration" and _is_secret(change.key):
        change.value = _MASK
    for entry in command.response.get_configuration.configuration_key:
        if _is_secret(entry.key) and entry.HasField("value"):
            entry.value = _MASK


def _is_secret(key: str) -> bool:
    return key.strip().lower() in _SECRET_KEYS


def _complete(message: Message, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is missing or no value, and put something in its place that is one.

    So what remains can be written as JSON, and its schema finds the other violations.
    """
    for field in _fields(message.DESCRIPTOR):
        here = f"{path}.{field.name}"
        if field.is_repeated:
            yield from _complete_items(getattr(message, field.name), field, here)
        elif field.has_presence and not message.HasField(field.name):
            if _is_required(field):
                yield here, "is required"
                _fill(message, field)
        else:
            yield from _complete_value(message, field, here)


def _complete_items(items: Any, field: FieldDescriptor, path: str) -> Iterator[tuple[str, str]]:
    if field.message_type is not None:
        for number, item in enumerate(items):
            yield from _complete(item, f"{path}[{number}]")


def _complete_value(
    message: Message, field: FieldDescriptor, path: str
) -> Iterator[tuple[str, str]]:
    value = getattr(message, field.name)
    if field.message_type is Timestamp.DESCRIPTOR:
        try:
            to_datetime(value)
        except ValueError as error:
            yield path, str(error)
            _fill(message, field)
    elif field.message_type is not None:
        yield from _complete(value, path)
    elif field.enum_type is not None and value not in _known(field):
        yield path, "is required" if value == 0 else "must be a known value"
        _fill(message, field)
    elif _is_required(field) and value == "" and field.full_name not in _MAY_BE_EMPTY:
        yield path, "is required"
        _fill(message, field)


def _fill(message: Message, field: FieldDescriptor) -> None:
    """Put a value in the place of a missing or wrong one."""
    if field.message_type is Timestamp.DESCRIPTOR:
        getattr(message, field.name).CopyFrom(Timestamp())
    elif field.message_type is not None:
        part = getattr(message, field.name)
        part.SetInParent()
        for _ in _complete(part, ""):
            pass  # what is missing in it goes without saying
    elif field.enum_type is not None:
        setattr(message, field.name, next(iter(_known(field))))
    elif field.type == FieldDescriptor.TYPE_STRING:
        setattr(message, field.name, "x")


def _fields(descriptor: Any) -> Iterator[FieldDescriptor]:
    yield from descriptor.fields


def _known(field: FieldDescriptor) -> list[int]:
    assert field.enum_type is not None
    values = field.enum_type.values
    return [value.number for value in values if value.GetOptions().Extensions[wire_pb2.wire]]


def _is_required(field: FieldDescriptor) -> bool:
    behavior = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behavior


def _field_path(message: Message, path: Path) -> str:
    """Return the field that a member of the JSON payload stands for: `.a_list[0].a_field`."""
    text, descriptor = "", cast("Descriptor", message.DESCRIPTOR)
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        field = next(field for field in _fields(descriptor) if field.json_name == step)
        text += f".{field.name}"
        descriptor = field.message_type or descriptor
    return text


def _description(error: SchemaError) -> str:
    template = _DESCRIPTIONS.get(error.keyword)
    return template.format(error.expected) if template else error.message
