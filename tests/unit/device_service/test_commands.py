"""The states of commands: what changes them, and what cannot."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from device_service.domain import ChargePointId
from device_service.domain.commands import (
    CallError,
    ChargePointOffline,
    Command,
    CommandNotPending,
    CommandState,
    RequestIdReused,
    Result,
    SessionOutcome,
    TooManyPendingCommands,
    answer_timeout,
    command_id,
    expire_time,
    request_id,
    wait,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
EXPIRE = NOW + timedelta(minutes=1)
ANSWER = Result(LATER, sent=True, response=b"answer")
NOT_SENT = Result(LATER, sent=False, error=b"error")
ENDED = [
    {"state": state, "complete_time": NOW}
    for state in (
        CommandState.COMPLETED,
        CommandState.FAILED,
        CommandState.EXPIRED,
        CommandState.CANCELLED,
    )
]


def a_command(**values: Any) -> Command:
    given: dict[str, Any] = {
        "command_id": uuid.UUID(int=1),
        "charge_point_id": ChargePointId("CP-1"),
        "action": "Reset",
        "request": b"request",
        "requester": "operator",
        "create_time": NOW,
        "expire_time": EXPIRE,
    }
    return Command(**(given | values))


def handed_out(**values: Any) -> Command:
    return a_command(handed_to="instance-1", handed_connection="conn-1", **values)


def test_sent_and_answered() -> None:
    sent = handed_out().mark_sent(NOW)
    assert (sent.state, sent.send_time, sent.has_ended) == (CommandState.SENT, NOW, False)
    ended = sent.end(ANSWER, None)
    assert (ended.state, ended.response) == (CommandState.COMPLETED, b"answer")
    assert (ended.send_time, ended.complete_time) == (NOW, LATER)
    assert ended.has_ended
    assert ended.is_settled


def test_answer_without_word_of_the_sending_proves_it() -> None:
    ended = handed_out().end(ANSWER, None)
    assert (ended.state, ended.send_time) == (CommandState.COMPLETED, LATER)


@pytest.mark.parametrize(
    "result",
    [
        Result(LATER, sent=True, call_error=CallError("NotSupported", "", "{}")),
        Result(LATER, sent=True, error=b"error"),
        NOT_SENT,
    ],
)
def test_end_without_an_answer_is_a_failure(result: Result) -> None:
    ended = handed_out().end(result, None)
    assert ended.state is CommandState.FAILED
    assert (ended.call_error, ended.error) == (result.call_error, result.error)
    assert (ended.send_time is not None) is result.sent


@pytest.mark.parametrize("values", ENDED)
def test_nothing_changes_a_command_that_has_ended(values: dict[str, Any]) -> None:
    ended = handed_out(**values)
    assert ended.mark_sent(LATER) is ended
    assert ended.end(ANSWER, None) is ended
    assert ended.release() is ended
    assert ended.fail(LATER, b"error") is ended
    assert ended.expire(LATER) is ended
    assert ended.settle(SessionOutcome.STARTED, "sessions/1") is ended


def test_command_for_later_waits_again_until_it_expires() -> None:
    command = handed_out(deliver_when_online=True)
    waiting = command.end(NOT_SENT, None)
    assert (waiting.state, waiting.handed_to) == (CommandState.PENDING, "")
    assert (waiting.handed_connection, waiting.error) == ("", b"")
    too_late = Result(EXPIRE, sent=False, error=b"error")
    assert command.end(too_late, None).state is CommandState.EXPIRED
    assert command.mark_sent(NOW).end(NOT_SENT, None).state is CommandState.FAILED


def test_sent_command_is_neither_taken_back_nor_expired() -> None:
    sent = handed_out().mark_sent(NOW)
    assert sent.release() is sent
    assert sent.expire(EXPIRE) is sent
    assert sent.mark_sent(LATER) is sent


def test_cancelling_is_for_commands_that_nobody_has() -> None:
    cancelled = a_command().cancel(LATER)
    assert (cancelled.state, cancelled.complete_time) == (CommandState.CANCELLED, LATER)
    assert cancelled.cancel(EXPIRE) is cancelled
    for command in (handed_out(), handed_out().mark_sent(NOW), handed_out().end(ANSWER, None)):
        with pytest.raises(CommandNotPending):
            command.cancel(LATER)


def test_accepted_remote_start_is_settled_by_its_session() -> None:
    awaiting = handed_out(action="RemoteStartTransaction").end(ANSWER, EXPIRE)
    assert awaiting.session_outcome is SessionOutcome.AWAITED
    assert awaiting.session_deadline == EXPIRE
    assert awaiting.has_ended
    assert not awaiting.is_settled
    settled = awaiting.settle(SessionOutcome.STARTED, "sessions/1")
    assert settled.is_settled
    assert settled.session == "sessions/1"
    assert settled.settle(SessionOutcome.NONE_CAME) is settled


def test_who_has_a_command_is_nothing_that_watchers_see() -> None:
    assert handed_out() == a_command()
    assert handed_out().mark_sent(NOW) != a_command()


def test_charge_point_that_is_away_gets_only_what_waits_for_it() -> None:
    with pytest.raises(ChargePointOffline):
        a_command().admit(0, 1, online=False)
    a_command(deliver_when_online=True).admit(0, 1, online=False)


def test_commands_that_wait_are_limited() -> None:
    a_command().admit(1, 2, online=True)
    with pytest.raises(TooManyPendingCommands) as raised:
        a_command().admit(2, 2, online=True)
    assert raised.value.retry_after


def test_request_id_stands_for_one_request() -> None:
    first = a_command(request_id="id", request_digest=b"one")
    first.repeats(first)
    with pytest.raises(RequestIdReused):
        a_command(request_id="id", request_digest=b"two").repeats(first)


def test_time_to_send_is_a_minute_or_a_day_unless_told() -> None:
    assert expire_time(None, NOW, deliver_when_online=False) == NOW + timedelta(minutes=1)
    assert expire_time(None, NOW, deliver_when_online=True) == NOW + timedelta(days=1)
    last = NOW + timedelta(days=30)
    assert expire_time(last, NOW, deliver_when_online=False) == last
    for wrong in (NOW, last + timedelta(seconds=1)):
        with pytest.raises(ValueError, match="30 days"):
            expire_time(wrong, NOW, deliver_when_online=False)


@pytest.mark.parametrize("seconds", [1, 600])
def test_answer_timeouts_that_are_taken(seconds: float) -> None:
    assert answer_timeout(timedelta(seconds=seconds)) == timedelta(seconds=seconds)
    assert answer_timeout(None) == timedelta(seconds=60)


@pytest.mark.parametrize("seconds", [0, 0.9, 600.1, -1])
def test_answer_timeouts_that_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="10 minutes"):
        answer_timeout(timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-1, 300.1])
def test_waits_that_are_refused(seconds: float) -> None:
    assert wait(timedelta(minutes=5)) == timedelta(minutes=5)
    with pytest.raises(ValueError, match="5 minutes"):
        wait(timedelta(seconds=seconds))


def test_ids_are_uuids() -> None:
    text = str(uuid.UUID(int=7))
    assert request_id(text.upper()) == text
    assert request_id("") == ""
    assert command_id(text) == uuid.UUID(int=7)
    for parse in (request_id, command_id):
        with pytest.raises(ValueError, match="UUID"):
            parse("nonsense")
