"""What a pattern reads is what the whole way reads: JSON, schema, repair, codec."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.v16.charge_point_call_pb2 import ChargePointCall
from gateway.ocppj.frames import Call, parse
from gateway.patterns import _MAX_CHARACTERS, _MAX_PATTERNS, Patterns, Recalled
from gateway.repair import Repairer
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


def recalled(patterns: Patterns, text: str) -> tuple[str, ChargePointCall] | None:
    call = patterns.recall(text)
    if call is None:
        return None
    assert (call.action, call.text) == ("MeterValues", text)
    assert isinstance(call.payload, Recalled)
    request = ChargePointCall()
    call.payload.put_into(request)
    return str(call.message_id), request


def taught(text: str) -> Patterns:
    """Return patterns that know this text's, if it is valid."""
    patterns, whole = Patterns(), read_whole(text)
    if whole is not None:
        patterns.learn(text, whole[1])
    return patterns


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
    patterns = taught(text_of("1", first, spelling))
    text = text_of("id-2", later, spelling)
    assert recalled(patterns, text) == read_whole(text) is not None


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
        '[2,"2","Heartbeat",{}]',
        "",
    ],
)
def test_whatever_is_not_like_it_is_read_the_whole_way(text: str) -> None:
    patterns = taught(text_of("1", payload("1", "2")))
    assert recalled(patterns, text_of("1", payload("3", "4"))) is not None
    assert patterns.recall(text) is None


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
    ],
    ids=[
        "a member twice",
        "a value twice",
        "a member twice, escaped",
        "a list twice, escaped",
        "two meter values",
    ],
)
def test_a_text_that_says_something_twice_is_no_pattern(text: str) -> None:
    assert read_whole(text) is not None
    assert taught(text).recall(text) is None


def test_a_text_that_is_too_long_is_no_pattern() -> None:
    text = text_of("1", payload(*["1"] * 100))
    spaces = " " * (_MAX_CHARACTERS - len(text))
    longest = text.replace('"unit":"V"', f'"unit":"V"{spaces}', 1)
    assert taught(longest).recall(longest) is not None
    longer = longest.replace(spaces, f"{spaces} ", 1)
    assert read_whole(longer) is not None
    assert taught(longer).recall(longer) is None


def test_patterns_are_forgotten_when_there_are_too_many() -> None:
    patterns = Patterns()
    text = ""
    for number in range(_MAX_PATTERNS + 1):
        text = text_of("1", payload(*["1"] * (number % 40 + 1))).replace(
            '"unit":"V"', '"unit":"V"' + " " * (number // 40)
        )
        whole = read_whole(text)
        assert whole is not None
        patterns.learn(text, whole[1])
    assert patterns.recall(text) is not None
    assert len(patterns._known) == 1


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
    patterns = taught(first)
    for text in (first, later):
        found = recalled(patterns, text)
        assert found is None or found == read_whole(text)
