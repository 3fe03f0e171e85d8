"""The three frames of OCPP-J 1.6, read leniently and written strictly.

A message id is opaque. One that arrives as text goes back as the same text, one that arrives as
a number goes back as the same number: such a charge point looks for what it has sent.
"""

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

CALL: Final = 2
CALL_RESULT: Final = 3
CALL_ERROR: Final = 4
MAX_DESCRIPTION: Final = 255
"""Longest errorDescription in characters (OCPP-J 1.6, section 4.2.3)."""

MessageId: TypeAlias = str | int


class ErrorCode(StrEnum):
    """The error codes of a CALLERROR in the spelling of OCPP-J 1.6, section 4.2.3.

    `OccurenceConstraintViolation` lacks an r in the specification; charge points that get it
    in correct English send their message again for ever.
    """

    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"
    SECURITY_ERROR = "SecurityError"
    FORMATION_VIOLATION = "FormationViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"


class Call(NamedTuple):
    """A request of the charge point; `payload` is None when the frame ends before it."""

    message_id: MessageId
    action: str
    payload: Any
    text: str


class CallResult(NamedTuple):
    """An answer of the charge point; its id is always text, as the ids of our calls are."""

    message_id: str
    payload: Any
    text: str


class CallError(NamedTuple):
    """A refusal by the charge point, or its answer that is not readable JSON."""

    message_id: str
    code: str
    description: str
    details: Any
    text: str


class Malformed(NamedTuple):
    """A frame that is none of the three; it can be answered only if `message_id` is known."""

    message_id: MessageId | None
    action: str | None
    code: ErrorCode
    reason: str
    text: str


Frame: TypeAlias = Call | CallResult | CallError | Malformed

# The head of a frame whose rest is not JSON: type, message id and, if it is there, the action.
_HEAD: Final = re.compile(
    r'\s*\[\s*(?P<type>[234])\s*,\s*(?P<id>"(?:[^"\\]|\\.)*"|-?\d{1,64})\s*'
    r'(?:,\s*"(?P<action>[^"\\]*)")?'
)
# What embedded software leaves around a frame: a byte order mark, the NUL that ends a C string.
_AROUND: Final = "\ufeff\x00 \t\r\n"


def parse(text: str) -> Frame:
    """Read one text frame. Never raises: what cannot be read is `Malformed`."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            message = _loads_leniently(text)
        except (ValueError, RecursionError) as error:
            return _from_head(text, f"The frame is not JSON: {error}.")
    return _from_message(message, text)


def encode_call(message_id: str, action: str, payload: Mapping[str, Any]) -> str:
    """Write a CALL as compact JSON, members in the order of `payload`."""
    return orjson.dumps([CALL, message_id, action, payload]).decode()


def encode_call_result(message_id: MessageId, payload: Mapping[str, Any]) -> str:
    """Write a CALLRESULT as compact JSON, members in the order of `payload`."""
    return orjson.dumps([CALL_RESULT, _echo(message_id), payload]).decode()


def encode_call_error(
    message_id: MessageId,
    code: ErrorCode,
    description: str = "",
    details: Mapping[str, Any] | None = None,
) -> str:
    """Write a CALLERROR as compact JSON; a description over 255 characters is cut."""
    frame = [CALL_ERROR, _echo(message_id), code, description[:MAX_DESCRIPTION], details or {}]
    return orjson.dumps(frame).decode()


def _echo(message_id: MessageId) -> str | orjson.Fragment:
    # orjson writes no integer beyond 64 bits, and a charge point may count with a date.
    return message_id if isinstance(message_id, str) else orjson.Fragment(str(message_id))


def _loads_leniently(text: str) -> Any:
    """Read what orjson refuses but a person would read.

    Seen: a NUL or a byte order mark around the frame, raw control characters inside texts, half of
    a surrogate pair where a text was cut, NaN as a value. NaN becomes the text "NaN", a number
    that is too large for a float the text "Infinity".
    """
    value = json.loads(text.strip(_AROUND), strict=False)
    written = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return json.loads(written, parse_constant=str)


def _from_message(message: Any, text: str) -> Frame:
    if isinstance(message, list) and len(message) == 4 and message[0] == CALL:
        _, message_id, action, payload = message
        if isinstance(message_id, str) and isinstance(action, str):  # as nearly all frames are
            return Call(message_id, action, payload, text)
    if not isinstance(message, list) or len(message) < 2:
        return _unanswerable("The frame is no JSON array of a type and a message id.", text)
    kind, message_id = message[0], message[1]
    if isinstance(message_id, float):
        return _from_head(text, "The message id is no text.", message)
    if not isinstance(message_id, str | int) or isinstance(message_id, bool):
        return _unanswerable("The message id is no text.", text)
    return _of_kind(kind, message_id, message, text)


def _of_kind(kind: Any, message_id: MessageId, message: Sequence[Any], text: str) -> Frame:
    if kind == CALL:
        return _call(message_id, message, text)
    if kind == CALL_RESULT:
        return CallResult(str(message_id), message[2] if len(message) > 2 else None, text)
    if kind == CALL_ERROR:
        return _call_error(str(message_id), message, text)
    return _unanswerable("The message type is none of 2, 3 and 4.", text)


def _call(message_id: MessageId, message: Sequence[Any], text: str) -> Call | Malformed:
    action = message[2] if len(message) > 2 else None
    if not isinstance(action, str):
        reason = "The CALL names no action: send [2, id, action, payload]."
        return Malformed(message_id, None, ErrorCode.FORMATION_VIOLATION, reason, text)
    return Call(message_id, action, message[3] if len(message) > 3 else None, text)


def _call_error(message_id: str, message: Sequence[Any], text: str) -> CallError:
    code, description, details = (*message[2:5], None, None, None)[:3]
    code = code if isinstance(code, str) else ErrorCode.GENERIC_ERROR
    description = description if isinstance(description, str) else ""
    return CallError(message_id, code, description, details or {}, text)


def _from_head(text: str, reason: str, message: Sequence[Any] | None = None) -> Frame:
    """Read the message id from the text; with `message`, the rest is known already."""
    head = _HEAD.match(text.lstrip(_AROUND))
    if head is None:
        return _unanswerable(reason, text)
    message_id = _id_of(head["id"])
    if message is not None:
        return _of_kind(message[0], message_id, message, text)
    if int(head["type"]) == CALL:
        code = ErrorCode.FORMATION_VIOLATION
        return Malformed(message_id, head["action"], code, reason, text)
    # An answer is for one call: that call fails, and nothing is sent back.
    return CallError(str(message_id), ErrorCode.FORMATION_VIOLATION, reason, {}, text)


def _id_of(token: str) -> MessageId:
    """Read the token of a message id: a JSON text, or the digits of a number."""
    if not token.startswith('"'):
        return int(token)
    try:
        return str(orjson.loads(token))
    except orjson.JSONDecodeError:
        return token[1:-1]


def _unanswerable(reason: str, text: str) -> Malformed:
    return Malformed(None, None, ErrorCode.FORMATION_VIOLATION, reason, text)
