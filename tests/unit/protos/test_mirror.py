"""The protos say exactly what the OCPP schemas say: no member, no word more or less."""

import json
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from csms.ocpp.v16 import wire_pb2
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemAnswer, CentralSystemCall
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointAnswer, ChargePointCall

Schema = dict[str, Any]

TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_ENUM: "string",
    FieldDescriptor.TYPE_BOOL: "boolean",
    FieldDescriptor.TYPE_INT32: "integer",
    FieldDescriptor.TYPE_INT64: "integer",
    FieldDescriptor.TYPE_DOUBLE: "number",
    FieldDescriptor.TYPE_MESSAGE: "object",
}
WIDE = {"transactionId", "meterStart", "meterStop"}


def load_schemas() -> dict[str, Schema]:
    folder = files("ocpp.v16").joinpath("schemas")
    paths = [path for path in folder.iterdir() if path.name.endswith(".json")]
    return {
        path.name.removesuffix(".json"): json.loads(path.read_text("utf-8-sig")) for path in paths
    }


SCHEMAS = load_schemas()


def mirrored_messages() -> dict[str, Descriptor]:
    envelopes = (ChargePointCall, ChargePointAnswer, CentralSystemCall, CentralSystemAnswer)
    fields = [field for envelope in envelopes for field in envelope.DESCRIPTOR.fields]
    messages = [field.message_type for field in fields if field.message_type]
    return {message.name.removesuffix("Request"): message for message in messages}


MESSAGES = mirrored_messages()


def walk(schema: Schema, root: Schema, message: Descriptor) -> Iterator[tuple[Schema, Descriptor]]:
    """Yield every object of a schema with the message that mirrors it."""
    yield schema, message
    for member, value in schema.get("properties", {}).items():
        field = by_member(message).get(member)
        inner = item_of(value, root)
        if field is not None and field.message_type and inner["type"] == "object":
            yield from walk(inner, root, field.message_type)


def item_of(schema: Schema, root: Schema) -> Schema:
    """Follow a reference and an array to what stands for one value."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rpartition("/")[2]]
    return item_of(schema["items"], root) if schema["type"] == "array" else schema


def by_member(message: Descriptor) -> dict[str, FieldDescriptor]:
    return {field.json_name: field for field in message.fields}


def is_required(field: FieldDescriptor) -> bool:
    behavior = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    assert len(behavior) == 1, field.full_name
    return bool(behavior[0] == field_behavior_pb2.REQUIRED)


def wires(enum: EnumDescriptor) -> list[str]:
    return [value.GetOptions().Extensions[wire_pb2.wire] for value in enum.values]


def members() -> Iterator[tuple[str, Schema, FieldDescriptor]]:
    """Yield every member of every schema with the field that mirrors it."""
    for name, root in SCHEMAS.items():
        for schema, message in walk(root, root, MESSAGES[name]):
            for member, value in schema.get("properties", {}).items():
                yield f"{name}.{member}", item_of(value, root), by_member(message)[member]


def test_every_schema_has_a_message_and_every_message_a_schema() -> None:
    assert MESSAGES.keys() == SCHEMAS.keys()
    assert len(SCHEMAS) == 2 * 39


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_message_has_the_members_of_the_schema(name: str) -> None:
    for schema, message in walk(SCHEMAS[name], SCHEMAS[name], MESSAGES[name]):
        assert by_member(message).keys() == schema.get("properties", {}).keys(), message.name


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_message_requires_what_the_schema_requires(name: str) -> None:
    for schema, message in walk(SCHEMAS[name], SCHEMAS[name], MESSAGES[name]):
        required = {field.json_name for field in message.fields if is_required(field)}
        assert required == set(schema.get("required", [])), message.name


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_fields_have_the_types_of_the_schema(name: str) -> None:
    for schema, message in walk(SCHEMAS[name], SCHEMAS[name], MESSAGES[name]):
        for member, value in schema.get("properties", {}).items():
            field, inner = by_member(message)[member], item_of(value, SCHEMAS[name])
            time = inner.get("format") == "date-time"
            assert ("object" if time else inner["type"]) == TYPES[field.type], field.full_name
            assert field.is_repeated == (value.get("type") == "array"), field.full_name


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_absence_shows_exactly_where_a_member_is_optional(name: str) -> None:
    for _, message in walk(SCHEMAS[name], SCHEMAS[name], MESSAGES[name]):
        scalars = [f for f in message.fields if not f.is_repeated and not f.message_type]
        assert all(field.has_presence != is_required(field) for field in scalars), message.name


def test_what_chargers_count_fits_into_64_bits() -> None:
    wide = [field for name, _, field in members() if name.rpartition(".")[2] in WIDE]
    assert all(field.type == FieldDescriptor.TYPE_INT64 for field in wide)


def test_enums_have_the_words_of_all_schemas_that_use_them() -> None:
    words: defaultdict[EnumDescriptor, set[str]] = defaultdict(set)
    for _, schema, field in members():
        if "enum" in schema:
            assert field.enum_type is not None, field.full_name
            words[field.enum_type] |= set(schema["enum"])
    for enum, expected in words.items():
        assert set(wires(enum)[1:]) == expected, enum.name


def test_an_enum_misses_no_word_of_a_schema_but_hertz_in_stop_transaction() -> None:
    gaps = {
        (name, word)
        for name, schema, field in members()
        if field.enum_type
        for word in set(wires(field.enum_type)[1:]) - set(schema["enum"])
    }
    assert gaps == {("StopTransaction.unit", "Hertz")}


def test_enums_begin_with_a_value_that_is_never_on_the_wire() -> None:
    for enum in {field.enum_type for _, _, field in members() if field.enum_type}:
        assert enum.values[0].name.endswith("_UNSPECIFIED")
        assert wires(enum)[0] == ""
        assert all(wires(enum)[1:]), enum.name
