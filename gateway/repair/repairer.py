"""Finds the errors of a payload, applies the rules, checks again."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from gateway.ocppj.frames import ErrorCode
from gateway.repair.document import Document, Fault
from gateway.repair.rules import RULES
from gateway.repair.tables import TOLERATED
from ocpp16.schemas import PayloadValidator, SchemaError, Schemas

MAX_PASSES: Final = 16
"""How often a payload is checked again; a rule can bring errors one level deeper to light."""
MAX_VIOLATIONS: Final = 8

CODES: Final = {
    "required": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "maxItems": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "enum": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "format": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "maxLength": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "minimum": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "maximum": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    "multipleOf": ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
}
"""The CALLERROR for a violated keyword (OCPP-J 1.6, section 4.2.3)."""


class Violation(NamedTuple):
    """An error that no rule repairs."""

    path: str
    """Where it is, such as `meterValue.0.timestamp`; empty for the payload as a whole."""
    keyword: str
    message: str
    code: ErrorCode


class Repaired(NamedTuple):
    """A payload after repair."""

    payload: dict[str, Any]
    """Valid apart from lists that are empty; as far as repair came when there are violations."""
    rules: tuple[str, ...]
    """The rules that were applied, in order, each once."""
    violations: tuple[Violation, ...]
    """What remains wrong; empty when the payload can be processed."""


class Repairer:
    """Applies the rules to the payloads of charge points."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def repair(self, action: str, payload: Any, received_at: datetime) -> Repaired:
        """Repair the payload of a CALL; a valid one comes back as the same object.

        Args:
            action: an action of OCPP 1.6.
            payload: any JSON value; it is not changed.
            received_at: replaces times that are missing or cannot be read.

        Raises:
            KeyError: OCPP 1.6 has no such action.
        """
        return _repair(self._schemas.request(action), action, payload, received_at)

    def repair_response(self, action: str, payload: Any, received_at: datetime) -> Repaired:
        """Repair the payload of a CALLRESULT to our call of `action`; otherwise as `repair`."""
        return _repair(self._schemas.response(action), action, payload, received_at)


def _repair(
    validator: PayloadValidator, action: str, payload: Any, received_at: datetime
) -> Repaired:
    if validator.is_valid(payload):
        return Repaired(payload, (), ())
    errors = validator.errors(payload)
    if any(error.keyword == "depth" for error in errors):
        return Repaired({}, (), _violations(errors))
    return _repair_copy(validator, action, Document(payload), received_at)


def _repair_copy(
    validator: PayloadValidator, action: str, document: Document, received_at: datetime
) -> Repaired:
    rules: dict[str, None] = {}
    for _ in range(MAX_PASSES):
        errors = validator.errors(document.payload)
        applied = [_apply(Fault(document, action, error, received_at)) for error in errors]
        document.sweep()
        rules |= {name: None for name in applied if name is not None}
        if all(name is None or name in TOLERATED for name in applied):
            break
    errors = validator.errors(document.payload)
    payload = document.payload if isinstance(document.payload, dict) else {}
    return Repaired(payload, tuple(rules), _violations(errors))


def _apply(fault: Fault) -> str | None:
    """Apply the first rule that fits and return its name."""
    if fault.is_stale:
        return None
    for rule in RULES.get(fault.error.keyword, ()):
        if rule(fault):
            return rule.__name__
    return None


def _violations(errors: list[SchemaError]) -> tuple[Violation, ...]:
    remaining = [error for error in errors if error.keyword != "minItems"]
    return tuple(_violation(error) for error in remaining[:MAX_VIOLATIONS])


def _violation(error: SchemaError) -> Violation:
    path = ".".join(str(step) for step in error.path)
    # A payload that is no object at all is a matter of form, not of a member's type.
    code = CODES.get(error.keyword) if error.path or error.keyword == "required" else None
    return Violation(path, error.keyword, error.message, code or ErrorCode.FORMATION_VIOLATION)
