import pytest

from gateway.ocppj.connection import (
    CallNotOpen,
    CallRefused,
    CallSent,
    Connection,
    Event,
    TooManyPendingCalls,
    UnknownAnswer,
)
from gateway.ocppj.frames import Call, CallError, CallResult, ErrorCode, Malformed


def heartbeat(message_id: str) -> str:
    return f'[2,"{message_id}","Heartbeat",{{}}]'


def the_call(events: list[Event]) -> Call:
    (event,) = events
    assert isinstance(event, Call)
    return event


def test_a_call_is_handed_out_and_answered() -> None:
    connection = Connection()
    call = the_call(connection.receive(heartbeat("1")))
    assert connection.answer(call, {"currentTime": "2026-01-02T03:04:05Z"}) == []
    assert connection.data_to_send() == ['[3,"1",{"currentTime":"2026-01-02T03:04:05Z"}]']
    assert connection.data_to_send() == []


def test_calls_are_handed_out_one_at_a_time_in_order_of_arrival() -> None:
    connection = Connection()
    first = the_call(connection.receive(heartbeat("1")))
    assert connection.receive(heartbeat("2")) == []
    assert connection.receive(heartbeat("3")) == []
    second = the_call(connection.answer(first, {}))
    third = the_call(connection.fail(second, ErrorCode.INTERNAL_ERROR, "later"))
    assert connection.answer(third, {}) == []
    expected = ['[3,"1",{}]', '[4,"2","InternalError","later",{}]', '[3,"3",{}]']
    assert connection.data_to_send() == expected


def test_a_call_with_the_id_of_the_open_one_is_a_call_of_its_own() -> None:
    connection = Connection()
    first = the_call(connection.receive(heartbeat("1")))
    assert connection.receive(heartbeat("1")) == []
    again = the_call(connection.answer(first, {}))
    assert connection.answer(again, {}) == []
    assert connection.data_to_send() == ['[3,"1",{}]', '[3,"1",{}]']


def test_a_call_is_answered_once() -> None:
    connection = Connection()
    call = the_call(connection.receive(heartbeat("1")))
    connection.answer(call, {})
    with pytest.raises(CallNotOpen):
        connection.fail(call, ErrorCode.INTERNAL_ERROR)
    assert connection.data_to_send() == ['[3,"1",{}]']


def test_a_malformed_call_is_answered_when_its_turn_comes() -> None:
    connection = Connection()
    first = the_call(connection.receive(heartbeat("1")))
    assert connection.receive('[2,"2","MeterValues",{') == []
    assert connection.receive(heartbeat("3")) == []
    malformed, third = connection.answer(first, {})
    assert isinstance(malformed, Malformed)
    assert isinstance(third, Call)
    sent = connection.data_to_send()
    assert sent[0] == '[3,"1",{}]'
    assert sent[1].startswith('[4,"2","FormationViolation",')


def test_what_cannot_be_answered_is_reported_and_leaves_the_open_call_alone() -> None:
    connection = Connection()
    call = the_call(connection.receive(heartbeat("1")))
    (event,) = connection.receive('[1,"x","Heartbeat",{}]')
    assert isinstance(event, Malformed)
    assert connection.data_to_send() == []
    assert connection.answer(call, {}) == []


def test_reading_pauses_at_half_of_the_queue_and_goes_on_when_it_shrinks() -> None:
    connection = Connection(max_pending_calls=4)
    call = the_call(connection.receive(heartbeat("0")))
    states = []
    for number in range(1, 5):
        connection.receive(heartbeat(str(number)))
        states.append(connection.wants_more)
    assert states == [True, True, False, False]
    call = the_call(connection.answer(call, {}))
    assert not connection.wants_more
    connection.answer(call, {})
    assert connection.wants_more


def test_a_call_beyond_the_queue_is_refused_at_once() -> None:
    connection = Connection(max_pending_calls=1)
    connection.receive(heartbeat("0"))
    connection.receive(heartbeat("1"))
    (refused,) = connection.receive(heartbeat("2"))
    assert isinstance(refused, CallRefused)
    assert refused.call.message_id == "2"
    (malformed,) = connection.receive('[2,"3","MeterValues",{')
    assert isinstance(malformed, Malformed)
    texts = connection.data_to_send()
    assert [text[:21] for text in texts] == ['[4,"2","InternalError', '[4,"3","InternalError']


def test_our_calls_go_out_one_at_a_time() -> None:
    connection = Connection()
    assert connection.call("a", "ClearCache", {}) == [CallSent("a")]
    assert connection.call("b", "Reset", {"type": "Soft"}) == []
    assert connection.data_to_send() == ['[2,"a","ClearCache",{}]']
    answer, sent = connection.receive('[3,"a",{"status":"Accepted"}]')
    assert isinstance(answer, CallResult)
    assert answer.payload == {"status": "Accepted"}
    assert sent == CallSent("b")
    assert connection.data_to_send() == ['[2,"b","Reset",{"type":"Soft"}]']
    (error,) = connection.receive('[4,"b","NotSupported","",{}]')
    assert isinstance(error, CallError)
    assert connection.unanswered_calls == []


def test_the_two_directions_do_not_wait_for_each_other() -> None:
    connection = Connection()
    connection.call("a", "ClearCache", {})
    call = the_call(connection.receive(heartbeat("1")))
    connection.receive('[3,"a",{"status":"Accepted"}]')
    assert connection.call("b", "ClearCache", {}) == [CallSent("b")]
    assert connection.answer(call, {}) == []


def test_a_full_queue_of_ours_is_an_error() -> None:
    connection = Connection(max_queued_calls=1)
    connection.call("a", "ClearCache", {})
    connection.call("b", "ClearCache", {})
    with pytest.raises(TooManyPendingCalls):
        connection.call("c", "ClearCache", {})
    assert connection.unanswered_calls == ["a", "b"]


def test_an_unknown_answer_is_reported_and_ends_no_call() -> None:
    connection = Connection()
    connection.call("a", "ClearCache", {})
    (event,) = connection.receive('[3,"z",{"status":"Accepted"}]')
    assert isinstance(event, UnknownAnswer)
    (event,) = connection.receive('[4,"z","GenericError","",{}]')
    assert isinstance(event, UnknownAnswer)
    assert connection.unanswered_calls == ["a"]


def test_an_unreadable_answer_fails_only_its_call() -> None:
    connection = Connection()
    connection.call("a", "GetConfiguration", {})
    (event,) = connection.receive('[3,"a",{"configurationKey":[]')
    assert isinstance(event, CallError)
    assert event.code == "FormationViolation"
    assert connection.unanswered_calls == []


def test_an_expired_call_frees_the_slot_and_its_late_answer_is_unknown() -> None:
    connection = Connection()
    connection.call("a", "ClearCache", {})
    connection.call("b", "ClearCache", {})
    connection.call("c", "ClearCache", {})
    assert connection.expire_call("b") == []
    assert connection.expire_call("a") == [CallSent("c")]
    assert connection.expire_call("a") == []
    (event,) = connection.receive('[3,"a",{"status":"Accepted"}]')
    assert isinstance(event, UnknownAnswer)
    assert connection.data_to_send() == ['[2,"a","ClearCache",{}]', '[2,"c","ClearCache",{}]']
