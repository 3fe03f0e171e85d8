"""Reads MeterValues that differ from earlier ones in their numbers only (ADR 18).

A charge point sends one text again and again, with another message id, time and values. What all of
them have in common is a pattern, and the first of them shows what the pattern means: it goes the
whole way, through JSON, schema and codec. The next are written as it was, with other values.
"""

import re
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from csms.ocpp.v16.charge_point_call_pb2 import ChargePointCall
from gateway.ocppj.frames import Call, Frame, parse
from gateway.templates import MAX_VALUE_BYTES, Template
from ocpp16.codec import decode_time

_MAX_PATTERNS: Final = 1024
"""A fleet has some dozens: one for each order of members that a firmware sends."""
_MAX_BYTES: Final = 8192
_MAX_VALUES: Final = 64
"""What is remembered of a text, and what it costs to learn, stays small, whatever comes."""
_REST: Final = 30
"""How many times as long as it took to learn a pattern no other is learned: who sends ever new ones
must not slow others down."""
_MAX_LIKELY: Final = 4
"""Some charge points send several kinds of MeterValues in turns."""

# What changes from message to message. Each takes less than JSON, the schema and the codec would
# take, so that whatever may stand there is valid: anything else is read the whole way. None takes
# what ends it (a quote, a comma, a brace), so that nothing is tried twice.
_TEXT: Final = r'[^"\\\x00-\x1f]'
_INTEGER: Final = r"(?:0|[1-9][0-9]{0,8})"
_TIME: Final = (
    r"(?:1[0-9]|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_CHANGING: Final = {
    "id": rf"{_TEXT}{{1,64}}",
    "connector": _INTEGER,
    "transaction": _INTEGER,
    "time": _TIME,
    "value": rf"{_TEXT}{{0,{MAX_VALUE_BYTES}}}",
}


def _regex(text: str) -> re.Pattern[bytes]:
    """Compile a regular expression in which `<time>` stands for what may be a time."""
    for name, changing in _CHANGING.items():
        text = text.replace(f"<{name}>", f"(?P<{name}>{changing})")
    return re.compile(text.encode(), re.DOTALL)


_ACTION: Final = "MeterValues"
_VALUE: Final = _regex('"value": ?"<value>"')
_HEAD: Final = _regex(
    r'\[2, ?"<id>", ?"MeterValues", ?\{"connectorId": ?<connector>, ?'
    r'(?:"transactionId": ?<transaction>, ?)?"meterValue": ?\[\{'
    r'(?:"timestamp": ?"<time>", ?)?"sampledValue"'
)
_TAIL: Final = _regex(
    r'.*\}\](?:, ?"timestamp": ?"<time>")?\}\](?:, ?"transactionId": ?<transaction>)?\}\]'
)
_ONCE: Final = ("connectorId", "transactionId", "meterValue", "timestamp", "sampledValue")


Hole: TypeAlias = tuple[str, int, int]
"""What may stand in a place of a text that changes, where it begins, where it ends."""


class Pattern:
    """What the texts of one kind have in common.

    Args:
        text: One of them.
        holes: What changes in it, in order.
        request: What it was read as.

    Attributes:
        literals: What stands before, between and behind the holes.
    """

    def __init__(self, text: bytes, holes: Sequence[Hole], request: ChargePointCall) -> None:
        self.literals = _literals(text, holes)
        kinds = [kind for kind, _, _ in holes]
        self._regex = _shape(self.literals, kinds)
        self._id, self._connector, self._time = map(kinds.index, ("id", "connector", "time"))
        self._transaction = kinds.index("transaction") if "transaction" in kinds else None
        first = kinds.index("value")
        self._values = slice(first, first + kinds.count("value"))
        self._template = Template(request)

    def read(self, text: str, encoded: bytes) -> Call | None:
        """Return the call that a text is, or None if the text is not like this pattern's."""
        match = self._regex.fullmatch(encoded)
        parts = match.groups() if match else ()
        if parts[::2] != self.literals:
            return None
        found = parts[1::2]
        try:
            moment = decode_time(found[self._time].decode())
        except ValueError:  # the 30th of February
            return None
        transaction = None if self._transaction is None else found[self._transaction]
        request = self._template.write(
            found[self._connector], transaction, moment, found[self._values]
        )
        return Call(found[self._id].decode(), _ACTION, request, text)


class Patterns:
    """The patterns that the charge points of a gateway keep to.

    Args:
        monotonic: The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._known: dict[tuple[bytes, ...], Pattern] = {}
        self._monotonic, self._rests_until = monotonic, 0.0

    def find(self, encoded: bytes) -> Pattern | None:
        """Return the pattern of a text, if it is known."""
        holes = _holes(encoded)
        return self._known.get(_literals(encoded, holes)) if holes else None

    def learn(self, text: str, request: ChargePointCall) -> None:
        """Remember the pattern of a valid text, if it has one, with what it was read as."""
        begin = self._monotonic()
        encoded = text.encode()
        if begin < self._rests_until or len(encoded) > _MAX_BYTES or not _is_plain(text):
            return
        holes = _holes(encoded)
        if not holes or not _is_said(encoded, holes, request):
            return
        if len(self._known) >= _MAX_PATTERNS:
            del self._known[next(iter(self._known))]  # the oldest
        pattern = Pattern(encoded, holes, request)
        self._known[pattern.literals] = pattern
        end = self._monotonic()
        self._rests_until = end + (end - begin) * _REST


class Reader:
    """Reads the frames of one connection: first by the patterns that it kept to before."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self._likely: tuple[weakref.ref[Pattern], ...] = ()

    def read(self, text: str) -> Frame:
        """Read a frame, as `parse` does.

        The payload of a call that a pattern has read is valid, and is bytes: what protobuf writes
        for `Call.request`.
        """
        return (self._recall(text) if _ACTION in text else None) or parse(text)

    def _recall(self, text: str) -> Call | None:
        encoded = text.encode()
        for likely in self._likely:
            pattern = likely()
            call = pattern.read(text, encoded) if pattern else None
            if call is not None:
                return call
        pattern = self._patterns.find(encoded)
        if pattern is None:
            return None
        call = pattern.read(text, encoded)
        if call is not None:  # else it may be among the likely ones already
            self._likely = (weakref.ref(pattern), *self._likely[: _MAX_LIKELY - 1])
        return call


def _is_plain(text: str) -> bool:
    """Tell whether no member that matters stands in a text twice, as it is or by escapes."""
    return "\\" not in text and all(text.count(f'"{member}"') <= 1 for member in _ONCE)


def _is_said(text: bytes, holes: Sequence[Hole], request: ChargePointCall) -> bool:
    """Tell whether a request says what stands in the holes: not so what follows its payload."""
    said = request.meter_values
    values = [text[begin:end].decode() for kind, begin, end in holes if kind == "value"]
    samples = [sample.value for value in said.meter_value for sample in value.sampled_value]
    has_transaction = any(kind == "transaction" for kind, _, _ in holes)
    return values == samples and has_transaction == said.HasField("transaction_id")


def _holes(text: bytes) -> list[Hole]:
    """Return what changes from message to message; nothing if the text is not made that way."""
    count = text.count(b'"value"')
    if text.count(b'"timestamp"') != 1 or count > _MAX_VALUES:  # as in most that have no pattern
        return []
    head = _HEAD.match(text)
    if head is None:
        return []
    values = list(_VALUE.finditer(text, head.end()))
    if not values or len(values) != count:  # the others may overrule these
        return []
    tail = _TAIL.fullmatch(text, values[-1].end())
    if tail is None:
        return []
    holes = [*_found(head), *(("value", *value.span(1)) for value in values), *_found(tail)]
    has_time = any(kind == "time" for kind, _, _ in holes)
    return holes if has_time else []


def _found(match: re.Match[bytes]) -> Iterator[Hole]:
    """Return what was found of the named groups, in their order."""
    for kind in match.re.groupindex:
        begin, end = match.span(kind)
        if begin >= 0:
            yield kind, begin, end


def _literals(text: bytes, holes: Sequence[Hole]) -> tuple[bytes, ...]:
    """Return what stands before, between and behind the holes."""
    begins = [0, *[end for _, _, end in holes]]
    ends = [*[begin for _, begin, _ in holes], len(text)]
    return tuple(text[begin:end] for begin, end in zip(begins, ends, strict=True))


def _shape(literals: Sequence[bytes], kinds: Sequence[str]) -> re.Pattern[bytes]:
    """Return what splits a text into literals of these sizes and what stands between them.

    Literals are compared later, all at once: so the expression is short and quickly compiled. Here
    only their first character counts, which ends the hole before.
    """
    first, *others = literals
    shape = f"(.{{{len(first)}}})"
    for kind, literal in zip(kinds, others, strict=True):
        end = re.escape(chr(literal[0]))
        shape += f"({_CHANGING[kind]})({end}.{{{len(literal) - 1}}})"
    return re.compile(shape.encode(), re.DOTALL)
