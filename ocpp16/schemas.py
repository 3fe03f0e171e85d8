"""The payload schemas of OCPP 1.6, compiled once."""

import importlib.resources
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import jsonschema_rs
import orjson

Path: TypeAlias = tuple[str | int, ...]

WIDE_INTEGERS: Final = frozenset({"meterStart", "meterStop", "reservationId", "transactionId"})
"""Integers that the services take with 64 bits; all others have 32."""


UNSTORABLE_TIME: Final = r"^(0000|0001|9999)-|^.{16}:60"
"""Times that RFC 3339 allows and that no datetime can hold in every zone."""


class SchemaError(NamedTuple):
    """One place where a payload departs from its schema."""

    path: Path
    keyword: str
    """The keyword that is violated, such as `maxLength`; `depth` for nesting beyond 255 levels."""
    message: str
    """Says what is wrong without the value itself: it may be a secret."""
    expected: Any
    """What the schema says: the limit, the words of an enum, the missing or unknown names."""
    instance: Any
    owner: dict[str, Any]
    """The schema of the object that has the member, or of the object itself for `required`."""

    @property
    def is_optional(self) -> bool:
        """Whether the value is an object's member that may be absent."""
        return bool(
            self.path
            and self.path[-1] in self.owner.get("properties", {})
            and self.path[-1] not in self.owner.get("required", [])
        )


class PayloadValidator:
    """One compiled schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        # Draft 4 for all, also for the security extension (draft 6): there 12.0 is no integer,
        # and what comes behind needs one. No schema uses a keyword in which the drafts differ.
        self._compiled = jsonschema_rs.Draft4Validator(
            schema, validate_formats=True, mask="The value"
        )

    def is_valid(self, payload: Any) -> bool:
        """Tell whether `payload` keeps to the schema, formats included."""
        try:
            return self._compiled.is_valid(payload)
        except ValueError:  # nested too deeply, or half of a surrogate pair in a text
            return False

    def errors(self, payload: Any) -> list[SchemaError]:
        """List every error of `payload`; empty when it is valid."""
        try:
            return [self._error(error) for error in self._compiled.iter_errors(payload)]
        except ValueError as error:
            return [SchemaError((), "depth", f"{error}.", None, None, {})]

    def _error(self, error: jsonschema_rs.ValidationError) -> SchemaError:
        expected = next(iter(error.kind.as_dict().values()), None)
        owner = _owner(self._schema, error.schema_path)
        path = tuple(error.instance_path)
        return SchemaError(path, error.kind.name, error.message, expected, error.instance, owner)


class Schemas:
    """The request and response schema of every action of OCPP 1.6 and its security extension.

    They are those of the `ocpp` package with one addition: an integer must fit into the bits that
    its protobuf field has, because no service could take another.
    """

    def __init__(self) -> None:
        """Compile all schemas; takes some milliseconds."""
        validators = {name: PayloadValidator(schema) for name, schema in _read_schemas()}
        self._responses = {
            name.removesuffix("Response"): validator
            for name, validator in validators.items()
            if name.endswith("Response")
        }
        self._requests = {action: validators[action] for action in self._responses}

    @property
    def actions(self) -> Sequence[str]:
        """All actions, of either side, sorted."""
        return sorted(self._requests)

    def request(self, action: str) -> PayloadValidator:
        """Return the schema of the payload of a CALL.

        Raises:
            KeyError: OCPP 1.6 has no such action.
        """
        return self._requests[action]

    def response(self, action: str) -> PayloadValidator:
        """Return the schema of the payload of a CALLRESULT.

        Raises:
            KeyError: OCPP 1.6 has no such action.
        """
        return self._responses[action]


def _read_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    folder = importlib.resources.files("ocpp.v16") / "schemas"
    for file in folder.iterdir():
        if file.name.endswith(".json"):
            text = file.read_text(encoding="utf-8-sig")  # some of the files have a mark
            yield file.name.removesuffix(".json"), _with_limits(orjson.loads(text))


def _with_limits(schema: Any, name: str = "") -> Any:
    if isinstance(schema, list):
        return [_with_limits(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    limited = {key: _with_limits(value, key) for key, value in schema.items()}
    if schema.get("type") == "integer":
        bound = 2**63 if name in WIDE_INTEGERS else 2**31
        limited |= {"minimum": max(-bound, schema.get("minimum", -bound)), "maximum": bound - 1}
    if schema.get("format") == "date-time":
        limited["not"] = {"type": "string", "pattern": UNSTORABLE_TIME}
    return limited


def _owner(schema: dict[str, Any], schema_path: Sequence[str | int]) -> dict[str, Any]:
    """Follow `schema_path`, which ends in a keyword, to the object that the error belongs to."""
    steps = list(schema_path[:-1])
    is_of_object = schema_path[-1:] in (["required"], ["additionalProperties"])
    if steps[-2:-1] == ["properties"] and not is_of_object:
        del steps[-2:]
    node: Any = schema
    for step in steps:
        node = node[step]
    return node if isinstance(node, dict) else {}
