"""Reads MeterValues that differ from earlier ones in their numbers only (ADR 18).

A charge point sends one text again and again, with another message id, time and values. What all of
them have in common is a pattern, and the first of them shows what the pattern means: it goes the
whole way, through JSON, schema and codec. The next are a copy of its message with other values.
"""

import re
from typing import Any, Final, NamedTuple, TypeAlias

from csms.ocpp.v16.charge_point_call_pb2 import ChargePointCall
from gateway.ocppj.frames import Call
from ocpp16.codec import decode_time

_MAX_PATTERNS: Final = 1024
"""A fleet has some dozens: one for each order of members that a firmware sends."""
_MAX_CHARACTERS: Final = 8192
"""What is remembered of a text stays small, whatever a charge point sends."""

# What changes from message to message. Each takes less than JSON, the schema and the codec would
# take, so that whatever may stand there is valid: anything else is read the whole way.
_TEXT: Final = r'[^"\\\x00-\x1f]'
_INTEGER: Final = r"0|[1-9][0-9]{0,8}"
_TIME: Final = (
    r"(?:1[0-9]|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_ACTION: Final = "MeterValues"
_VALUE: Final = re.compile(rf'"value": ?"({_TEXT}*)"')
_HEAD: Final = re.compile(
    rf'\[2, ?"({_TEXT}{{1,64}})", ?"MeterValues", ?\{{"connectorId": ?({_INTEGER}), ?'
    rf'(?:"transactionId": ?({_INTEGER}), ?)?"meterValue": ?\[\{{'
    rf'(?:"timestamp": ?"({_TIME})", ?)?("sampledValue".*)',
    re.DOTALL,
)
_TAIL: Final = re.compile(
    rf'(.*\}}\])(?:, ?"timestamp": ?"({_TIME})")?\}}\](?:, ?"transactionId": ?({_INTEGER}))?\}}\]',
    re.DOTALL,
)

_ONCE: Final = ("connectorId", "transactionId", "meterValue", "timestamp", "sampledValue")

Pattern: TypeAlias = tuple[str | bool, ...]
"""The text between what changes, and whether it names a transaction."""


class Reading(NamedTuple):
    """What changes from message to message.

    Attributes:
        time: Fields of a Timestamp.
        values: Of the samples, in their order.
    """

    connector_id: int
    transaction_id: int | None
    time: dict[str, int]
    values: list[str]


class Recalled(NamedTuple):
    """The payload of a call that a pattern has read: it is valid."""

    reading: Reading
    like: ChargePointCall

    def put_into(self, request: ChargePointCall) -> None:
        """Make an empty request say what was read."""
        connector_id, transaction_id, time, values = self.reading
        request.CopyFrom(self.like)
        meter_values = request.meter_values
        meter_values.connector_id = connector_id
        if transaction_id is not None:
            meter_values.transaction_id = transaction_id
        meter_value = meter_values.meter_value[0]
        meter_value.timestamp.seconds, meter_value.timestamp.nanos = time["seconds"], time["nanos"]
        for sample, value in zip(meter_value.sampled_value, values, strict=True):
            sample.value = value


class Patterns:
    """The patterns that the charge points of a gateway keep to."""

    def __init__(self) -> None:
        self._known: dict[Pattern, ChargePointCall] = {}

    def recall(self, text: str) -> Call | None:
        """Return the call that a text is, its payload `Recalled`; None if it must be parsed."""
        split = _split(text)
        if split is None:
            return None
        pattern, message_id, reading = split
        like = self._known.get(pattern)
        return like and Call(message_id, _ACTION, Recalled(reading, like), text)

    def learn(self, text: str, request: ChargePointCall) -> None:
        """Remember the pattern of a valid text, if it has one, with what it was read as."""
        split = _split(text) if len(text) <= _MAX_CHARACTERS and _is_plain(text) else None
        if split is None:
            return
        pattern, _, reading = split
        samples = [s for value in request.meter_values.meter_value for s in value.sampled_value]
        if [sample.value for sample in samples] != reading.values:
            return
        if len(self._known) >= _MAX_PATTERNS:
            self._known.clear()
        self._known[pattern] = like = ChargePointCall()
        like.CopyFrom(request)


def _is_plain(text: str) -> bool:
    """Tell whether no member that matters stands in a text twice, as it is or by escapes."""
    return "\\" not in text and all(text.count(f'"{member}"') <= 1 for member in _ONCE)


def _split(text: str) -> tuple[Pattern, str, Reading] | None:
    """Split a text into pattern, message id and reading; None if it is not made that way."""
    parts: list[Any] = _VALUE.split(text)
    if len(parts) == 1:
        return None
    texts, values = parts[::2], parts[1::2]
    head, tail = _HEAD.fullmatch(texts[0]), _TAIL.fullmatch(texts[-1])
    if head is None or tail is None:
        return None
    message_id, connector, transaction, time, texts[0] = head.groups()
    texts[-1], late_time, late_transaction = tail.groups()
    if (time is None) is (late_time is None) or (transaction and late_transaction):
        return None
    transaction = transaction or late_transaction
    try:
        moment = decode_time(time or late_time)
    except ValueError:  # the 30th of February
        return None
    number = None if transaction is None else int(transaction)
    reading = Reading(int(connector), number, moment, values)
    return (transaction is None, *texts), message_id, reading
