import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ocppj.frames import (
    Call,
    CallError,
    CallResult,
    ErrorCode,
    Malformed,
    encode_call,
    encode_call_error,
    encode_call_result,
    parse,
)

HEARTBEAT = '[2,"17","Heartbeat",{}]'


def test_a_call_is_read_with_its_text() -> None:
    assert parse(HEARTBEAT) == Call("17", "Heartbeat", {}, HEARTBEAT)


def test_a_call_without_payload_is_a_call() -> None:
    text = '[2,"17","Heartbeat"]'
    assert parse(text) == Call("17", "Heartbeat", None, text)


def test_a_call_result_is_read() -> None:
    text = '[3, "17" ,{"status":"Accepted"}]'
    assert parse(text) == CallResult("17", {"status": "Accepted"}, text)


def test_the_id_of_an_answer_is_text_even_if_it_is_sent_as_a_number() -> None:
    answer = parse("[3,17,{}]")
    assert isinstance(answer, CallResult)
    assert answer.message_id == "17"


def test_a_call_error_is_read() -> None:
    text = '[4,"17","NotSupported","no",{"a":1}]'
    assert parse(text) == CallError("17", "NotSupported", "no", {"a": 1}, text)


@pytest.mark.parametrize("text", ['[4,"17"]', '[4,"17",null,null,null]', '[4,"17",5]'])
def test_a_call_error_with_missing_members_is_a_generic_error(text: str) -> None:
    assert parse(text) == CallError("17", "GenericError", "", {}, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{}",
        "[]",
        "[2]",
        "null",
        '[1,"17","Heartbeat",{}]',
        '["2","17","Heartbeat",{}]',
        '[2,null,"Heartbeat",{}]',
        '[2,true,"Heartbeat",{}]',
        '[2,{},"Heartbeat",{}]',
        "[[[",
    ],
)
def test_a_frame_without_type_or_id_cannot_be_answered(text: str) -> None:
    frame = parse(text)
    assert isinstance(frame, Malformed)
    assert frame.message_id is None
    assert frame.text == text


@pytest.mark.parametrize("text", ['[2,"17"]', '[2,"17",5,{}]', '[2,"17",{}]'])
def test_a_call_without_action_is_answered_with_formation_violation(text: str) -> None:
    frame = parse(text)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.code) == ("17", ErrorCode.FORMATION_VIOLATION)


@pytest.mark.parametrize(
    ("text", "message_id", "action"),
    [
        ('[2,"a-1","MeterValues",{"sampledValue":[,{}]}]', "a-1", "MeterValues"),
        (' [ 2 , "a\\"1" , "MeterValues",{"transactionId":,}]', 'a"1', "MeterValues"),
        ('[2,"a-1"', "a-1", None),
        ('[2,"\\x","MeterValues",{', "\\x", "MeterValues"),
        ('[2,17,"MeterValues",{', 17, "MeterValues"),
    ],
)
def test_a_call_that_is_not_json_keeps_its_id_and_action(
    text: str, message_id: str | int, action: str | None
) -> None:
    frame = parse(text)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.action) == (message_id, action)
    assert frame.code is ErrorCode.FORMATION_VIOLATION


def test_an_unreadable_result_fails_the_call_of_its_id() -> None:
    frame = parse('[3,"64b4",{"configurationKey":[]')
    assert isinstance(frame, CallError)
    assert (frame.message_id, frame.code) == ("64b4", "FormationViolation")


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('[2,"1","DataTransfer",{"data":"a"}]\x00', "a"),
        ('\ufeff[2,"1","DataTransfer",{"data":"a"}]', "a"),
        ('[2,"1","DataTransfer",{"data":"a\nb"}]', "a\nb"),
        ('[2,"1","DataTransfer",{"data":"\\ud83d"}]', "?"),
        ('[2,"1","DataTransfer",{"data":NaN}]', "NaN"),
        ('[2,"1","DataTransfer",{"data":1e999}]', "Infinity"),
    ],
)
def test_what_a_person_could_read_is_read(text: str, data: str) -> None:
    assert parse(text) == Call("1", "DataTransfer", {"data": data}, text)


@pytest.mark.parametrize("message_id", ["0583200", "36:352", "é☃", 'q"\\', "x" * 99, "", 17])
def test_the_message_id_is_echoed_as_it_came(message_id: str | int) -> None:
    frame = parse(orjson.dumps([2, message_id, "Heartbeat", {}]).decode())
    assert isinstance(frame, Call)
    assert orjson.loads(encode_call_result(frame.message_id, {}))[1] == message_id


def test_a_number_beyond_64_bits_is_echoed_with_all_its_digits() -> None:
    frame = parse('[2,2022110611462200000002,"Heartbeat",{}]')
    assert isinstance(frame, Call)
    assert encode_call_result(frame.message_id, {}) == "[3,2022110611462200000002,{}]"


def test_frames_are_written_compactly_and_in_order() -> None:
    assert encode_call("1", "Reset", {"type": "Soft"}) == '[2,"1","Reset",{"type":"Soft"}]'
    assert encode_call_result("1", {"b": 1, "a": 2}) == '[3,"1",{"b":1,"a":2}]'
    error = encode_call_error("1", ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION, "no", {"a": 1})
    assert error == '[4,"1","OccurenceConstraintViolation","no",{"a":1}]'


def test_a_description_is_cut_at_255_characters() -> None:
    description = orjson.loads(encode_call_error("1", ErrorCode.GENERIC_ERROR, "é" * 300))[3]
    assert description == "é" * 255


@given(st.text())
def test_no_text_makes_the_reader_raise(text: str) -> None:
    parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=5), st.sampled_from([1, 2, 3, 4, 5]), st.text() | st.integers())
def test_no_array_makes_the_reader_raise_and_every_call_can_be_answered(
    rest: list[Any], kind: int, message_id: str | int
) -> None:
    text = json.dumps([kind, message_id, *rest])
    frame = parse(text)
    assert frame.text == text
    if isinstance(frame, Call):
        assert encode_call_result(frame.message_id, {})


@pytest.mark.parametrize("depth", [300, 1100, 100_000])
def test_deep_nesting_does_no_harm(depth: int) -> None:
    assert parse('[2,"1","DataTransfer",' + "[" * depth + "]" * depth + "]")
