"""Draws payloads that keep to a schema of OCPP 1.6."""

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from hypothesis import strategies as st

TIMES = st.integers(0, 4_102_444_800).map(
    lambda second: datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
)


def payloads(name: str) -> st.SearchStrategy[Any]:
    """Draw payloads of the schema file `name`, such as `Reset` or `ResetResponse`."""
    text = (files("ocpp.v16") / "schemas" / f"{name}.json").read_text(encoding="utf-8-sig")
    schema = json.loads(text)
    return _values(schema, schema)


def _values(schema: dict[str, Any], root: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return _values(root["definitions"][name], root)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _of_type(schema, root)


def _of_type(schema: dict[str, Any], root: dict[str, Any]) -> st.SearchStrategy[Any]:
    match schema["type"]:
        case "object":
            return _objects(schema, root)
        case "array":
            least = schema.get("minItems", 0)
            items = _values(schema["items"], root)
            return st.lists(items, min_size=least, max_size=min(schema.get("maxItems", 3), 3))
        case "string":
            return TIMES if schema.get("format") == "date-time" else _texts(schema)
        case "integer":
            return st.integers(schema.get("minimum", -(2**31)), 2**31 - 1)
        case "number":
            return st.integers(-10_000, 10_000).map(lambda tenths: tenths / 10)
    return st.booleans()


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "uri":
        return st.just("https://example.com/file")
    return st.text(max_size=min(schema.get("maxLength", 20), 20))


def _objects(schema: dict[str, Any], root: dict[str, Any]) -> st.SearchStrategy[Any]:
    members = {name: _values(value, root) for name, value in schema.get("properties", {}).items()}
    required = {name: members.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=members)
