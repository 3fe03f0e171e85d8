"""A payload under repair, and what a rule gets to see of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ocpp16.schemas import Path, SchemaError

MISSING: Final = object()
"""Stands where nothing is, or where something was dropped from a list in this pass."""


class Document:
    """A copy of a payload that is changed by path.

    List items that are dropped stay in place until `sweep`, so that the paths of all errors that
    were found in one pass remain true.
    """

    def __init__(self, payload: Any) -> None:
        self.payload = _copy(payload)
        self._has_gaps = False

    def get(self, path: Path) -> Any:
        """Return the value at `path`, `MISSING` if there is none."""
        value = self.payload
        for step in path:
            value = _child(value, step)
        return value

    def set(self, path: Path, value: Any) -> None:
        """Put `value` at `path`, whose parent must exist."""
        if path:
            self.get(path[:-1])[path[-1]] = value
        else:
            self.payload = value

    def drop(self, path: Path) -> None:
        """Remove the member or the list item at `path`, which must exist and not be the root."""
        parent = self.get(path[:-1])
        if isinstance(parent, list):
            parent[int(path[-1])] = MISSING
            self._has_gaps = True
        else:
            del parent[path[-1]]

    def sweep(self) -> None:
        """Close the gaps that dropped list items have left."""
        if self._has_gaps:
            self.payload = _swept(self.payload)
            self._has_gaps = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of a payload, in the hands of a rule."""

    document: Document
    action: str
    error: SchemaError
    received_at: datetime

    @property
    def path(self) -> Path:
        """Where the error is."""
        return self.error.path

    @property
    def name(self) -> str | int:
        """The member's name or the item's index; empty for the whole payload."""
        return self.path[-1] if self.path else ""

    @property
    def value(self) -> Any:
        """The value as it is now, after the rules before."""
        return self.document.get(self.path)

    @property
    def is_stale(self) -> bool:
        """Whether another rule of this pass has changed what the error is about."""
        value = self.value
        if self.error.keyword == "required":
            return not isinstance(value, dict) or self.error.expected in value
        if self.error.keyword == "additionalProperties":
            return not isinstance(value, dict)
        return value is MISSING or bool(value != self.error.instance)

    def replace(self, value: Any) -> bool:
        """Put `value` in the place of the faulty one; returns True, as a rule does."""
        self.document.set(self.path, value)
        return True

    def drop(self, path: Path | None = None) -> bool:
        """Drop the faulty value, or what is at `path`; returns True, as a rule does."""
        self.document.drop(self.path if path is None else path)
        return True

    def prefix_ending_in_item_of(self, *names: str) -> Path | None:
        """Return the path of the innermost list item under a member of one of `names`."""
        for end in range(len(self.path), 1, -1):
            if self.path[end - 2] in names and isinstance(self.path[end - 1], int):
                return self.path[:end]
        return None


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step, MISSING)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return MISSING


def _copy(value: Any) -> Any:
    # The schema check before has refused what is nested more than 255 levels deep.
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _swept(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _swept(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_swept(item) for item in value if item is not MISSING]
    return value
