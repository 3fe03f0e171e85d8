"""Turns OCPP JSON payloads into protobuf messages and back.

The descriptors of `csms.ocpp.v16` say everything: a field's JSON name is the OCPP member, the
`wire` option of an enum value its spelling, the order of field numbers the order of the
specification. `Codec` builds one closure per message type from them once; no action has code of
its own.

Decoding builds nested dicts for one constructor call, because `json_format` costs twenty times
as much. It expects payloads that fit their OCPP schema; what a schema lets through and a message
cannot hold (a year before 1, an integer of 70 bits) is a `CodecError` with the path to it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, Self, TypeVar, cast

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from csms.ocpp.v16 import wire_pb2
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemAnswer, CentralSystemCall
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointAnswer, ChargePointCall

Json = dict[str, Any]
"""An OCPP payload: a JSON object."""

Envelope = TypeVar("Envelope", bound=Message)
AnyMessage = TypeVar("AnyMessage", bound=Message)
Convert = Callable[[Any], Any]
PutMember = Callable[[Message, Json, str], None]

INTEGER_BITS: Final = {FieldDescriptor.TYPE_INT32: 32, FieldDescriptor.TYPE_INT64: 64}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND: Final = int((datetime.min.replace(tzinfo=UTC) - EPOCH).total_seconds())
LAST_SECOND: Final = int((datetime.max.replace(tzinfo=UTC) - EPOCH).total_seconds())


class CodecError(ValueError):
    """Says which member of a payload has no equal on the other side, and why.

    Attributes:
        path: the member, as in `meterValue[0].timestamp`; empty for the payload itself.
        reason: what is wrong with it.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path or 'The payload'}: {reason}.")
        self.reason = reason
        self.path = path

    def below(self, step: str) -> Self:
        """Return the same error, seen from one level further out."""
        joint = "." if self.path and not self.path.startswith("[") else ""
        return type(self)(self.reason, f"{step}{joint}{self.path}")


class UnknownActionError(LookupError):
    """Says that one side of OCPP 1.6 does not start this action."""


class EnvelopeCodec(Generic[Envelope]):
    """Decodes and encodes the payloads that one message with a oneof can hold."""

    def __init__(self, envelope: type[Envelope]) -> None:
        self._envelope = envelope
        descriptor = cast("Descriptor", envelope.DESCRIPTOR)
        self._oneof = descriptor.oneofs[0].name
        types = {field.name: _message_type(field) for field in descriptor.fields}
        self._actions = {name: _action(of) for name, of in types.items()}
        self._fields = {action: name for name, action in self._actions.items()}
        self._decode = {_action(of): _message_decoder(of) for of in types.values()}
        self._encode = {_action(of): _message_encoder(of) for of in types.values()}

    @property
    def actions(self) -> frozenset[str]:
        """The actions that have a place in the message."""
        return frozenset(self._fields)

    def decode(self, action: str, payload: Json) -> Envelope:
        """Return the message that says what the payload says.

        Raises:
            UnknownActionError: the action has no place in this message.
            CodecError: a value does not fit into its field.
        """
        return self.decode_within(action, payload, lambda fields: self._envelope(**fields))

    def decode_within(
        self, action: str, payload: Json, build: Callable[[Json], AnyMessage]
    ) -> AnyMessage:
        """Return what `build` makes of the message's fields; errors as in `decode`.

        A message that stands inside of another is built with it at once, in place of a copy.
        """
        field = self._field_of(action)
        fields = self._decode[action](payload)
        try:
            return build({field: fields})
        except (TypeError, ValueError) as error:  # such as half a surrogate pair in a string
            raise CodecError(f"does not fit into {action}: {error}") from error

    def encode(self, action: str, message: Envelope) -> Json:
        """Return the payload with its members in the order of the specification.

        Raises:
            UnknownActionError: the action has no place in this message.
            CodecError: the message holds another action, or lacks a required member.
        """
        field = self._field_of(action)
        if message.WhichOneof(self._oneof) != field:
            raise CodecError(f"{self._oneof} of {action} is not what the message holds")
        payload: Json = self._encode[action](getattr(message, field))
        return payload

    def action_of(self, message: Envelope) -> str:
        """Name the action that the message holds.

        Raises:
            CodecError: it holds none.
        """
        field = message.WhichOneof(self._oneof)
        if field is None:
            raise CodecError(f"the message holds no {self._oneof}")
        return self._actions[field]

    def _field_of(self, action: str) -> str:
        try:
            return self._fields[action]
        except KeyError:
            name = self._envelope.DESCRIPTOR.name
            raise UnknownActionError(f"{name} has no action {action!r}.") from None


class Codec:
    """Knows every payload of OCPP 1.6, in both directions; built once per process."""

    def __init__(self) -> None:
        self.charge_point_calls = EnvelopeCodec(ChargePointCall)
        self.charge_point_answers = EnvelopeCodec(ChargePointAnswer)
        self.central_system_calls = EnvelopeCodec(CentralSystemCall)
        self.central_system_answers = EnvelopeCodec(CentralSystemAnswer)

    @property
    def charge_point_actions(self) -> frozenset[str]:
        """The actions that a charge point starts."""
        return self.charge_point_calls.actions

    @property
    def central_system_actions(self) -> frozenset[str]:
        """The actions that the central system starts."""
        return self.central_system_calls.actions

    def to_message(self, action: str, payload: Json) -> ChargePointCall:
        """Decode the request of a charge point; errors as in `EnvelopeCodec.decode`."""
        return self.charge_point_calls.decode(action, payload)

    def answer_to_json(self, action: str, answer: ChargePointAnswer) -> Json:
        """Encode the response for a charge point; errors as in `EnvelopeCodec.encode`."""
        return self.charge_point_answers.encode(action, answer)

    def request_to_json(self, action: str, call: CentralSystemCall) -> Json:
        """Encode a request to a charge point; errors as in `EnvelopeCodec.encode`."""
        return self.central_system_calls.encode(action, call)

    def to_answer(self, action: str, payload: Json) -> CentralSystemAnswer:
        """Decode the response of a charge point; errors as in `EnvelopeCodec.decode`."""
        return self.central_system_answers.decode(action, payload)


# --- JSON to protobuf ------------------------------------------------------


def _message_decoder(message: Descriptor) -> Convert:
    enums = [(field.name, _numbers(field)) for field in message.fields if _is_plain_enum(field)]
    others = [
        (field.json_name, field.name, _decoder(field))
        for field in message.fields
        if not _is_plain_enum(field) and not _is_plain(field)
    ]

    def decode(payload: Json) -> Json:
        fields = payload.copy()
        member = ""
        try:
            # A sample is a string and enums under the same name on both sides: this loop is hot.
            for member, numbers in enums:
                if member in payload:
                    fields[member] = numbers[payload[member]]
            for member, name, convert in others:
                if member in payload:
                    fields[name] = convert(fields.pop(member))
        except CodecError as error:
            raise error.below(member) from error
        except KeyError as error:
            raise CodecError(f"{error} is not a word of OCPP 1.6", member) from error
        except (ValueError, OverflowError) as error:
            raise CodecError(str(error), member) from error
        return fields

    return decode


def _decoder(field: FieldDescriptor) -> Convert:
    convert = _value_decoder(field)
    return _list_converter(convert) if field.is_repeated else convert


def _value_decoder(field: FieldDescriptor) -> Convert:
    if field.message_type:
        of = field.message_type
        return decode_time if of is Timestamp.DESCRIPTOR else _message_decoder(of)
    if field.enum_type:
        return _numbers(field).__getitem__
    if field.type in INTEGER_BITS:
        return _integer_decoder(INTEGER_BITS[field.type])
    return float if field.type == FieldDescriptor.TYPE_DOUBLE else _as_it_is


def _is_plain(field: FieldDescriptor) -> bool:
    return field.name == field.json_name and _decoder(field) is _as_it_is


def _is_plain_enum(field: FieldDescriptor) -> bool:
    return field.name == field.json_name and field.enum_type is not None and not field.is_repeated


def _numbers(field: FieldDescriptor) -> dict[str, int]:
    """Map the spellings of an enum field to the numbers."""
    assert field.enum_type is not None
    return {word: number for number, word in _spellings(field.enum_type).items()}


def _integer_decoder(bits: int) -> Convert:
    limit = 1 << (bits - 1)

    def decode(value: float) -> int:
        number = int(value)  # JSON Schema takes 1.0 for an integer
        if not -limit <= number < limit:
            raise CodecError(f"does not fit into {bits} bits")
        return number

    return decode


def decode_time(text: str) -> Json:
    """Return the fields of a Timestamp.

    Raises:
        ValueError: It is no time of RFC 3339, or not in the years 0001 to 9999 of UTC.
    """
    moment = datetime.fromisoformat(text.upper())  # RFC 3339 allows a lower-case t and z
    if moment.tzinfo is None:
        raise CodecError(f"{text!r} has no offset from UTC")
    since = moment - EPOCH
    seconds = since.days * 86_400 + since.seconds
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise CodecError(f"{text!r} is not in the years 0001 to 9999 of UTC")
    return {"seconds": seconds, "nanos": since.microseconds * 1_000}


# --- protobuf to JSON ------------------------------------------------------


def _message_encoder(message: Descriptor) -> Convert:
    fields = sorted(message.fields, key=lambda field: field.number)
    members = [(field.json_name, _member_encoder(field)) for field in fields]

    def encode(message: Message) -> Json:
        payload: Json = {}
        member = ""
        try:
            for member, put in members:
                put(message, payload, member)
        except CodecError as error:
            raise error.below(member) from error
        return payload

    return encode


def _member_encoder(field: FieldDescriptor) -> PutMember:
    convert = _value_encoder(field)
    if field.is_repeated:
        return _list_encoder(field, _list_converter(convert))
    if field.has_presence:
        return _presence_encoder(field, convert)
    name = field.name

    def put(message: Message, payload: Json, member: str) -> None:
        payload[member] = convert(getattr(message, name))

    return put


def _list_encoder(field: FieldDescriptor, convert: Convert) -> PutMember:
    name, required = field.name, _is_required(field)

    def put(message: Message, payload: Json, member: str) -> None:
        values = getattr(message, name)
        if values or required:
            payload[member] = convert(values)

    return put


def _presence_encoder(field: FieldDescriptor, convert: Convert) -> PutMember:
    name, required = field.name, _is_required(field)

    def put(message: Message, payload: Json, member: str) -> None:
        if message.HasField(name):
            payload[member] = convert(getattr(message, name))
        elif required:
            raise CodecError("is required")

    return put


def _value_encoder(field: FieldDescriptor) -> Convert:
    if field.message_type:
        of = field.message_type
        return _encode_time if of is Timestamp.DESCRIPTOR else _message_encoder(of)
    return _enum_encoder(field.enum_type) if field.enum_type else _as_it_is


def _enum_encoder(enum: EnumDescriptor) -> Convert:
    spellings = _spellings(enum)

    def encode(number: int) -> str:
        try:
            return spellings[number]
        except KeyError:
            raise CodecError(f"{number} is no value of {enum.name}") from None

    return encode


def _encode_time(time: Timestamp) -> str:
    try:
        moment = EPOCH + timedelta(seconds=time.seconds)
    except OverflowError as error:
        raise CodecError(f"{time.seconds} s is not in the years 0001 to 9999 of UTC") from error
    return f"{moment.replace(tzinfo=None).isoformat()}Z"  # some chargers misread fractions


def _as_it_is(value: str | float) -> str | float:
    return value


# --- what both directions need ---------------------------------------------


def _list_converter(convert: Convert) -> Convert:
    def convert_all(values: list[Any]) -> list[Any]:
        converted: list[Any] = []
        try:
            converted.extend(map(convert, values))
        except CodecError as error:
            raise error.below(f"[{len(converted)}]") from error
        return converted

    return convert_all


def _spellings(enum: EnumDescriptor) -> dict[int, str]:
    """Map the numbers of an enum to the spellings; what stands for no value has none."""
    wires = {value.number: value.GetOptions().Extensions[wire_pb2.wire] for value in enum.values}
    return {number: wire for number, wire in wires.items() if wire}


def _is_required(field: FieldDescriptor) -> bool:
    behavior = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behavior


def _message_type(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None
    return field.message_type


def _action(message: Descriptor) -> str:
    return message.name.removesuffix("Request").removesuffix("Response")
