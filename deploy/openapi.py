"""Writes the OpenAPI document of the operators' REST API from the protobuf descriptors.

No maintained generator comes as a wheel (they are Go programs), so this one reads what the protos
say already: `google.api.http`, `field_behavior`, resource patterns and comments. It knows no
service by name. The version is 3.0.3 because the packaged Swagger UI reads no newer one.

    python -m deploy.openapi --descriptor-set build/csms.binpb build/openapi.json
"""

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from google.api import annotations_pb2, field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from deploy.descriptors import Comments, load_pool

Json = dict[str, Any]

PACKAGE = "csms.v1"
VERBS = ("get", "put", "post", "delete", "patch")
ERROR_RESPONSES = {
    "400": "The request is malformed (INVALID_ARGUMENT) or impossible now (FAILED_PRECONDITION).",
    "404": "There is no such resource (NOT_FOUND).",
    "409": "The resource exists already (ALREADY_EXISTS) or has changed (ABORTED).",
    "503": "The service cannot be reached now; try again (UNAVAILABLE).",
    "default": "Any other error.",
}
STREAMED = "Success: one JSON object a line, each when it happens, until the stream ends."
SCALARS: dict[int, Json] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},  # JSON numbers are doubles
    FieldDescriptor.TYPE_STRING: {"type": "string"},
}
WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Any": {
        "type": "object",
        "required": ["@type"],
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.FieldMask": {"type": "string", "example": "displayName,model"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}
VARIABLE = re.compile(r"\{(?P<field>[\w.]+)(?:=(?P<pattern>[^}]+))?\}")


def openapi(descriptor_set: FileDescriptorSet) -> Json:
    """Return the OpenAPI document of every `csms.v1` method that has an HTTP binding."""
    return _Document(descriptor_set).build()


class _Document:
    """One document while it is built: schemas are added as operations refer to them."""

    def __init__(self, descriptor_set: FileDescriptorSet) -> None:
        pool = load_pool(descriptor_set)
        self._comments = Comments(descriptor_set)
        self._schemas: dict[str, Json] = {}
        files = [pool.FindFileByName(file.name) for file in descriptor_set.file]
        own = [file for file in files if file.package == PACKAGE]
        self._services = [s for file in own for s in file.services_by_name.values()]
        self._status = pool.FindMessageTypeByName("google.rpc.Status")
        self._variables = dict(
            pair
            for file in own
            for m in file.message_types_by_name.values()
            for pair in _variables(m)
        )

    def build(self) -> Json:
        paths: Json = {}
        for service in self._services:
            for method in service.methods:
                for verb, path, operation in self._operations(method):
                    paths.setdefault(path, {})[verb] = operation
        error = {"application/json": {"schema": self._message_ref(self._status)}}
        return {
            "openapi": "3.0.3",
            "info": {
                "title": "voltmesh",
                "version": PACKAGE.rpartition(".")[2],
                "description": "Charge points, their commands, sessions and id tags."
                " Percent-encode ids in paths.",
            },
            "servers": [{"url": "/"}],
            "tags": [self._tag(service) for service in self._services],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self._schemas.items())),
                "responses": {
                    f"Error{status}": {"description": text, "content": error}
                    for status, text in ERROR_RESPONSES.items()
                },
            },
        }

    def _tag(self, service: ServiceDescriptor) -> Json:
        return {"name": service.name, "description": self._comments.of(service.full_name)}

    # --- operations

    def _operations(self, method: MethodDescriptor) -> Iterator[tuple[str, str, Json]]:
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for number, binding in enumerate((rule, *rule.additional_bindings), 1):
            verb = binding.WhichOneof("pattern")
            if verb in VERBS:
                path, parameters, bound = self._path(getattr(binding, verb), method.input_type)
                operation = self._operation(method, parameters, bound, binding.body)
                if number > 1:  # an operation id stands for one path
                    operation["operationId"] += f"_{number}"
                yield verb, path, operation

    def _operation(
        self, method: MethodDescriptor, path_parameters: list[Json], bound: set[str], body: str
    ) -> Json:
        summary, _, description = self._comments.of(method.full_name).partition("\n\n")
        answer = {"application/json": {"schema": self._message_ref(method.output_type)}}
        success = STREAMED if method.server_streaming else "Success."
        operation: Json = {
            "operationId": f"{method.containing_service.name}_{method.name}",
            "tags": [method.containing_service.name],
            "summary": summary.replace("\n", " "),
            "description": description,
            "parameters": path_parameters + self._query(method.input_type, bound | {body}),
            "responses": {"200": {"description": success, "content": answer}}
            | {s: {"$ref": f"#/components/responses/Error{s}"} for s in ERROR_RESPONSES},
        }
        if body:
            schema = self._body(method.input_type, body, bound)
            content = {"application/json": {"schema": schema}}
            operation["requestBody"] = {"required": body != "*", "content": content}
        return operation

    def _path(self, template: str, message: Descriptor) -> tuple[str, list[Json], set[str]]:
        """Return the path, its parameters, and the request's fields that they fill.

        `/v1/{name=chargePoints/*}` becomes `/v1/chargePoints/{chargePoint}`.
        """
        parameters: list[Json] = []
        bound: set[str] = set()

        def expand(match: re.Match[str]) -> str:
            field, pattern = match["field"], match["pattern"] or "*"
            bound.add(field)
            path, names = self._expand(field, pattern)
            parameters.extend(self._path_parameter(message, field, name) for name in names)
            return path

        return VARIABLE.sub(expand, template), parameters, bound

    def _expand(self, field: str, pattern: str) -> tuple[str, list[str]]:
        segments, names = pattern.split("/"), []
        for index, segment in enumerate(segments):
            if segment == "*":
                collection = segments[index - 1] if index else ""
                names.append(self._variables.get(collection, field))
                segments[index] = f"{{{names[-1]}}}"
        return "/".join(segments), names

    def _path_parameter(self, message: Descriptor, field: str, name: str) -> Json:
        return {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"Fills its place in `{field}`; percent-encoded. "
            + self._comments.of(_find(message, field).full_name),
            "schema": {"type": "string", "minLength": 1},
        }

    def _query(self, message: Descriptor, elsewhere: set[str]) -> list[Json]:
        """Return the parameters for the fields that are neither in the path nor in the body."""
        if "*" in elsewhere:
            return []
        return [
            {
                "name": field.json_name,
                "in": "query",
                "required": _behaves(field, "REQUIRED"),
                "description": self._comments.of(field.full_name),
                "schema": self._type(field),
            }
            for field in message.fields
            if field.name not in elsewhere
        ]

    def _body(self, message: Descriptor, body: str, bound: set[str]) -> Json:
        if body == "*":
            return self._object(message, without=bound)
        return self._type(message.fields_by_name[body])

    # --- schemas

    def _message_ref(self, message: Descriptor) -> Json:
        if message.full_name in WELL_KNOWN:
            return WELL_KNOWN[message.full_name]
        name = _schema_name(message.full_name)
        if name not in self._schemas:
            self._schemas[name] = {}  # before its fields: messages may contain themselves
            self._schemas[name] = self._object(message)
        return {"$ref": f"#/components/schemas/{name}"}

    def _enum_ref(self, enum: EnumDescriptor) -> Json:
        name = _schema_name(enum.full_name)
        lines = [f"* `{v.name}`: {self._comments.of_value(enum, v)}" for v in enum.values]
        self._schemas[name] = {
            "type": "string",
            "enum": [value.name for value in enum.values],
            "description": "\n".join([self._comments.of(enum.full_name), "", *lines]),
        }
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Descriptor, without: Iterable[str] = ()) -> Json:
        fields = [field for field in message.fields if field.name not in without]
        schema: Json = {
            "type": "object",
            "description": self._comments.of(message.full_name),
            "properties": {field.json_name: self._property(field) for field in fields},
        }
        required = [field.json_name for field in fields if _behaves(field, "REQUIRED")]
        return schema | ({"required": required} if required else {})

    def _property(self, field: FieldDescriptor) -> Json:
        schema = self._type(field)
        if "$ref" in schema:  # OpenAPI 3.0 ignores what stands beside a reference
            schema = {"allOf": [schema]}
        schema = schema | {"description": self._comments.of(field.full_name)}
        if _behaves(field, "OUTPUT_ONLY") or _behaves(field, "IDENTIFIER"):
            schema["readOnly"] = True
        if _behaves(field, "INPUT_ONLY"):
            schema["writeOnly"] = True
        return schema

    def _type(self, field: FieldDescriptor) -> Json:
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            values = self._single(message.fields_by_name["value"])
            return {"type": "object", "additionalProperties": values}
        single = self._single(field)
        return {"type": "array", "items": single} if field.is_repeated else single

    def _single(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None:
            return self._message_ref(field.message_type)
        if field.enum_type is not None:
            return self._enum_ref(field.enum_type)
        return SCALARS[field.type]


def _variables(message: Descriptor) -> Iterator[tuple[str, str]]:
    """Yield (`chargePoints`, `chargePoint`) for each `chargePoints/{charge_point}` of a pattern."""
    for pattern in message.GetOptions().Extensions[resource_pb2.resource].pattern:
        for collection, variable in re.findall(r"(\w+)/\{(\w+)\}", pattern):
            first, *rest = variable.split("_")
            yield collection, first + "".join(word.title() for word in rest)


def _find(message: Descriptor, path: str) -> FieldDescriptor:
    """Return the field at a path such as `charge_point.name`."""
    *parents, name = path.split(".")
    for parent in parents:
        inner = message.fields_by_name[parent].message_type
        assert inner is not None, f"{parent} of {path} is no message"
        message = inner
    return message.fields_by_name[name]


def _behaves(field: FieldDescriptor, behavior: str) -> bool:
    behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.FieldBehavior.Value(behavior) in behaviors


def _schema_name(full_name: str) -> str:
    return full_name.removeprefix(f"{PACKAGE}.")


def write(descriptor_set: FileDescriptorSet, output: Path) -> None:
    """Write the document of a descriptor set to a file."""
    output.write_text(json.dumps(openapi(descriptor_set), indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--descriptor-set", type=Path, default=Path("build/csms.binpb"))
    options = parser.parse_args()
    write(FileDescriptorSet.FromString(options.descriptor_set.read_bytes()), options.output)


if __name__ == "__main__":
    main()
