"""What a pattern reads is what the whole way reads: JSON, schema, repair, codec."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16.charge_point_call_pb2 import ChargePointCall
from csms.ocpp.v16.core_pb2 import MeterValuesRequest
from csms.ocpp.v16.types_pb2 import MeterValue
from gateway.ocppj.frames import Call, parse
from gateway.patterns import (
    _MAX_BYTES,
    _MAX_LIKELY,
    _MAX_PATTERNS,
    _MAX_VALUES,
    _REST,
    Pattern,
    Patterns,
    Reader,
)
from gateway.repair import Repairer
from gateway.templates import MAX_VALUE_BYTES
from ocpp16.codec import Codec, CodecError
from ocpp16.schemas import Schemas

CODEC, REPAIRER = Codec(), Repairer(Schemas())
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMPACT = (",", ":")
SPELLINGS: dict[str, dict[str, Any]] = {
    "as specified": {"separators": COMPACT},
    "with spaces": {},
    "sorted": {"separators": COMPACT, "sort_keys": True},
    "sorted, with spaces": {"sort_keys": True},
}


def payload(
    *values: str,
    time: str = "2026-01-01T00:00:00Z",
    connector: int = 1,
    transaction: int | None = 7,
) -> dict[str, Any]:
    samples = [
        {"value": value, "measurand": "Voltage", "phase": f"L{index % 3 + 1}", "unit": "V"}
        for index, value in enumerate(values)
    ]
    named = {} if transaction is None else {"transactionId": transaction}
    meter_value = [{"timestamp": time, "sampledValue": samples}]
    return {"connectorId": connector, **named, "meterValue": meter_value}


def text_of(message_id: str, said: object, spelling: str = "as specified") -> str:
    frame = [2, message_id, "MeterValues", said]
    return json.dumps(frame, ensure_ascii=False, **SPELLINGS[spelling])


def read_whole(text: str) -> tuple[str, ChargePointCall] | None:
    """Return message id and request of a call that is valid as it is; None for others."""
    call = parse(text)
    if not isinstance(call, Call):
        return None
    repaired = REPAIRER.repair("MeterValues", call.payload, NOW)
    if repaired.rules or repaired.violations:
        return None
    try:
        return str(call.message_id), CODEC.to_message("MeterValues", repaired.payload)
    except CodecError:
        return None


def recalled(reader: Reader, text: str) -> tuple[str, ChargePointCall] | None:
    """Return message id and request if a pattern has read them; None if the text was parsed."""
    frame = reader.read(text)
    if not (isinstance(frame, Call) and isinstance(frame.payload, bytes)):
        assert frame == parse(text)
        return None
    assert (frame.action, frame.text) == ("MeterValues", text)
    return str(frame.message_id), call_pb2.Call.FromString(frame.payload).request


def patterns_at_once() -> Patterns:
    """Return patterns that do not rest between two that they learn."""
    return Patterns(lambda: 0.0)


class Counted(Patterns):
    """Patterns that count how often one was not among the likely ones of a reader."""

    looked_up = 0

    def find(self, encoded: bytes) -> Pattern | None:
        self.looked_up += 1
        return super().find(encoded)


def teach(patterns: Patterns, text: str) -> None:
    whole = read_whole(text)
    if whole is not None:
        patterns.learn(text, whole[1])


def taught(*texts: str) -> Reader:
    """Return a reader that knows the patterns of these texts, as far as they are valid."""
    patterns = patterns_at_once()
    for text in texts:
        teach(patterns, text)
    return Reader(patterns)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("first", "later"),
    [
        (payload("1.5", "2.5"), payload("", "ü", time="2027-02-28T23:59:59.123456+05:30")),
        (payload("1", connector=0), payload("-1", connector=2147, transaction=999_999_999)),
        (payload("1", transaction=None), payload("2", connector=9, transaction=None)),
    ],
    ids=["values and time", "numbers", "no transaction"],
)
def test_a_text_like_an_earlier_one_is_recalled(
    first: object, later: object, spelling: str
) -> None:
    reader = taught(text_of("1", first, spelling))
    for text in (text_of("id-2", later, spelling), text_of("3", first, spelling)):
        assert recalled(reader, text) == read_whole(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        text_of("2", payload("1", "2", time="2026-02-30T00:00:00Z")),
        text_of("2", payload("1", "2", time="yesterday")),
        text_of("2", payload("1", "2", time="2026-01-01T00:00:60Z")),
        text_of("2", payload("1", "2", connector=-1)),
        text_of("2", payload("1", "2", transaction=2**63)),
        text_of("2", payload("1", "2", transaction=None)),
        text_of("2", payload("1", 'a "quoted" word')),
        text_of("2", payload("1", "a\nline")),
        text_of("2", payload("1", "2")).replace('"2","meas', '"\x01","meas'),
        text_of("2", payload("1")),
        text_of("2", payload("1", "2", "3")),
        text_of("2", payload("1", "2")).replace('"Voltage"', '"Current.Import"', 1),
        text_of("2", payload("1", "2")).replace('"L1"', '"L3"'),
        text_of("2", payload("1", "2")).replace('"connectorId":1', '"connectorId":01'),
        text_of("2", payload("1", "2")).replace('"value":"2"', '"value":2'),
        text_of("2", payload("1", "2")).replace('"2"', "2", 1),
        text_of("2", payload("1", "2")).replace(
            "]}]}]", '],"timestamp":"2025-01-01T00:00:00Z"}]}]'
        ),
        text_of("2", payload("1", "2")).replace("]}]}]", ']}],"transactionId":8}]'),
        text_of("2", payload("1", "2"))[:-1],
        text_of("2", payload("1", "2")) + "]",
        text_of("2", payload("1", "2")).replace("MeterValues", "meterValues"),
        text_of("2", payload("1", "2" * (MAX_VALUE_BYTES + 1))),
        '[2,"2","Heartbeat",{}]',
        "",
    ],
)
def test_whatever_is_not_like_it_is_read_the_whole_way(text: str) -> None:
    reader = taught(text_of("1", payload("1", "2")))
    for _ in "12":  # at first and when the pattern is the likely one
        assert recalled(reader, text) is None
        assert recalled(reader, text_of("1", payload("3", "4"))) is not None


@pytest.mark.parametrize(
    "text",
    [
        text_of("1", payload("1")).replace('"meterValue"', '"connectorId":1,"meterValue"'),
        text_of("1", payload("1")).replace('"value":"1"', '"value":"0","value":"1"'),
        text_of("1", payload("1")).replace('"meterValue"', '"connector\\u0049d":1,"meterValue"'),
        text_of("1", payload("1")).replace(
            "]}]}]", '],"sampledV\\u0061lue":[{"v\\u0061lue":"1"}]}]}]'
        ),
        text_of("1", {**payload("1"), "meterValue": payload("1")["meterValue"] * 2}),
        text_of("1", payload("1")).replace(
            '"meterValue"',
            '"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[]}],"meterValue"',
        ),
        text_of("1", payload("1", transaction=None), "sorted").replace(
            '"timestamp"', '"timestamp" '
        ),
        text_of("1", payload("1")).replace('"value":"1"', '"value":"1","value"  :"1"'),
        text_of("1", payload("1")).replace(
            '"value":"1"', '"unit":{"value":"1"},"unit":"V","value"  :"1"'
        ),
        text_of("1", payload("1", transaction=None))[:-1]
        + ',{"like":[{"a payload":[{}]}],"transactionId":7}]',
        text_of("1", payload("1", transaction=None), "sorted").replace(
            ',"timestamp":', ', "timestamp" :'
        )[:-1]
        + ',{"like":[{"a payload":[{}]}]}]',
    ],
    ids=[
        "a member twice",
        "a value twice",
        "a member twice, escaped",
        "a list twice, escaped",
        "two meter values",
        "an empty list before",
        "a time after a space",
        "a value twice, once after spaces",
        "a value after spaces, and one that does not count",
        "a transaction behind the payload",
        "a time after a space, and more behind the payload",
    ],
)
def test_a_text_that_could_mean_something_else_is_no_pattern(text: str) -> None:
    assert read_whole(text) is not None
    assert recalled(taught(text), text) is None


def test_values_of_any_length_are_written_as_they_are() -> None:
    reader = taught(text_of("1", payload("1", "2")))
    for size in (0, 1, 127, 128, MAX_VALUE_BYTES):
        text = text_of("2", payload("9" * size, "ü" * (size // 2)))
        assert recalled(reader, text) == read_whole(text) is not None


def test_templates_know_all_that_meter_values_can_say() -> None:
    fields = {field.name for field in MeterValuesRequest.DESCRIPTOR.fields}
    assert fields == {"connector_id", "transaction_id", "meter_value"}
    assert {field.name for field in MeterValue.DESCRIPTOR.fields} == {"timestamp", "sampled_value"}


@pytest.mark.parametrize(
    ("kinds", "looked_up"), [(_MAX_LIKELY, _MAX_LIKELY), (_MAX_LIKELY + 1, 2 * _MAX_LIKELY + 2)]
)
def test_a_connection_that_takes_turns_is_read_by_all_its_patterns(
    kinds: int, looked_up: int
) -> None:
    texts = [text_of("1", payload(*["1"] * count)) for count in range(1, kinds + 1)]
    patterns = Counted(lambda: 0.0)
    reader = Reader(patterns)
    for text in texts:
        teach(patterns, text)
    for text in texts * 2:
        assert recalled(reader, text) == read_whole(text) is not None
    assert patterns.looked_up == looked_up


def test_a_time_that_does_not_exist_displaces_no_likely_pattern() -> None:
    patterns = Counted(lambda: 0.0)
    reader = Reader(patterns)
    first, second = text_of("1", payload("1")), text_of("1", payload("1", "2"))
    for text in (first, second):
        teach(patterns, text)
        assert recalled(reader, text) is not None
    for _ in range(_MAX_LIKELY):
        assert recalled(reader, first.replace("01-01T", "02-30T")) is None
    patterns.looked_up = 0
    for text in (first, second):
        assert recalled(reader, text) is not None
    assert patterns.looked_up == 0


def test_learning_rests_so_that_ever_new_texts_slow_nobody_down() -> None:
    begin, end = 1.0, 1.25
    rested = end + _REST * (end - begin)
    seconds = [begin, end, rested - 0.01, rested, rested + 1.0]
    patterns = Patterns(iter(seconds).__next__)
    reader = Reader(patterns)
    first, second = text_of("1", payload("1")), text_of("1", payload("1", "2"))
    teach(patterns, first)
    teach(patterns, second)
    assert recalled(reader, first) is not None
    assert recalled(reader, second) is None
    teach(patterns, second)
    assert recalled(reader, second) is not None


def test_a_text_that_is_too_long_is_no_pattern() -> None:
    text = text_of("1", payload("1"))
    words = "ü" * ((_MAX_BYTES - len(text)) // 2 - len('"unit":"",'))
    text = text.replace('"unit":"V"', f'"unit":"{words}","unit":"V"')
    longest = text.replace(',"unit":', f'{" " * (_MAX_BYTES - len(text.encode()))},"unit":', 1)
    assert recalled(taught(longest), longest) is not None
    longer = longest.replace(",", ", ", 1)
    assert read_whole(longer) is not None
    assert recalled(taught(longer), longer) is None


def test_a_text_with_many_values_is_no_pattern() -> None:
    most = text_of("1", payload(*["1"] * _MAX_VALUES)).replace(',"phase":"L1"', "")
    assert recalled(taught(most), most) is not None
    more = text_of("1", payload(*["1"] * (_MAX_VALUES + 1)))
    assert len(more) < _MAX_BYTES
    assert read_whole(more) is not None
    assert recalled(taught(more), more) is None


def test_the_oldest_pattern_is_forgotten_when_there_are_too_many() -> None:
    patterns = patterns_at_once()
    reader = Reader(patterns)
    texts = [
        text_of("1", payload("1")).replace('"unit":"V"', '"unit":"V"' + " " * number)
        for number in range(_MAX_PATTERNS + 1)
    ]
    for text in texts[:-1]:
        teach(patterns, text)
    assert recalled(reader, texts[0]) is not None
    teach(patterns, texts[-1])
    assert recalled(reader, texts[-1]) is not None
    assert recalled(reader, texts[1]) is not None
    assert recalled(reader, texts[0]) is None  # the reader has kept nothing of its own


_TIMES = st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+01:00", "2026-01-01t00:00:00z", "2026-01-01"]
)
_INTEGERS = st.integers(-1, 3) | st.sampled_from([10**9, 2**31, 2**63])
_VALUES = st.text(max_size=5) | st.sampled_from(["230.1", '"value":"1"', "\\", "\x00"])


@st.composite
def two_texts(draw: st.DrawFn) -> tuple[str, str]:
    """Draw two calls that are alike but for what changes from message to message."""
    samples = draw(
        st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "measurand": st.sampled_from(["Voltage", "SoC", "Nonsense"]),
                    "phase": st.sampled_from(["L1", "N"]),
                    "context": st.sampled_from(["Sample.Periodic", "value"]),
                },
            ),
            max_size=3,
        )
    )
    with_transaction, count = draw(st.booleans()), draw(st.integers(0, 2))
    spelling = draw(st.sampled_from(list(SPELLINGS)))
    swapped = draw(st.booleans())

    def text() -> str:
        meter_value = [
            {
                "timestamp": draw(_TIMES),
                "sampledValue": [
                    {**sample, "value": draw(_VALUES)}
                    if swapped
                    else {"value": draw(_VALUES), **sample}
                    for sample in samples
                ],
            }
            for _ in range(count)
        ]
        said: dict[str, Any] = {"connectorId": draw(_INTEGERS)}
        if with_transaction:
            said["transactionId"] = draw(_INTEGERS)
        said["meterValue"] = meter_value
        return text_of(draw(st.text(max_size=3)), said, spelling)

    return text(), text()


@given(texts=two_texts())
def test_no_text_is_recalled_as_something_else(texts: tuple[str, str]) -> None:
    first, later = texts
    reader = taught(first)
    for text in (first, later):
        found = recalled(reader, text)
        assert found is None or found == read_whole(text)
