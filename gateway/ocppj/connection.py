"""The two call slots of one charge point, without I/O.

OCPP-J 1.6, section 4.1.1 lets each side have one CALL outstanding, independent of the other side.
The shell feeds texts to `receive` and sends what `data_to_send` returns after any method::

    for event in connection.receive(text):
        handle(event)
    for text in connection.data_to_send():
        send(text)
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from gateway.ocppj.frames import (
    Call,
    CallError,
    CallResult,
    ErrorCode,
    Frame,
    Malformed,
    encode_call,
    encode_call_error,
    encode_call_result,
    parse,
)


class TooManyPendingCalls(Exception):
    """The queue of calls to this charge point is full; try again when one of them has ended."""


class CallNotOpen(Exception):
    """The call to be answered is not the one handed out last, or has its answer already."""


class CallSent(NamedTuple):
    """Our call is among the texts that `data_to_send` returns next; its time-out begins now."""

    message_id: str


class CallRefused(NamedTuple):
    """A call was answered with a CALLERROR at once because too many wait; keep its text."""

    call: Call


class UnknownAnswer(NamedTuple):
    """An answer to a call that is not outstanding: late, or under an id of its own. Ignore it."""

    answer: CallResult | CallError


Event: TypeAlias = (
    Call | CallResult | CallError | CallSent | CallRefused | Malformed | UnknownAnswer
)
"""What happened, in order.

`Call`: answer it with `answer` or `fail`; until then no other is handed out.
`CallResult`, `CallError`: the answer to our outstanding call of that id.
`Malformed`: already answered where an answer is possible; keep its text.
"""


class Connection:
    """OCPP-J 1.6 over one socket, seen from the central system."""

    def __init__(
        self,
        *,
        max_pending_calls: int = 32,
        pause_above: int | None = None,
        max_queued_calls: int = 16,
        read: Callable[[str], Frame] = parse,
    ) -> None:
        """Bound both queues.

        Args:
            max_pending_calls: calls of the charge point that wait behind the open one. What comes
                beyond is refused.
            pause_above: how many may wait until reading should pause (`wants_more`); half of them
                unless told otherwise. The rest is for what is read all the same.
            max_queued_calls: calls to the charge point that wait behind the outstanding one.
            read: reads a text frame, and raises nothing; as `parse` does.
        """
        self._read = read
        self._max_pending = max_pending_calls
        self._pause_above = max_pending_calls // 2 if pause_above is None else pause_above
        self._max_queued = max_queued_calls
        self._pending: deque[Call | Malformed] = deque()
        self._open: Call | None = None
        self._queued: dict[str, str] = {}
        self._outstanding: str | None = None
        self._to_send: list[str] = []

    @property
    def wants_more(self) -> bool:
        """Whether the shell should go on reading from the socket."""
        return len(self._pending) <= self._pause_above

    @property
    def has_open_call(self) -> bool:
        """Whether a call of the charge point was handed out and has no answer yet."""
        return self._open is not None

    @property
    def unanswered_calls(self) -> list[str]:
        """Ids of our calls that have no answer: the outstanding one first, then the queue."""
        outstanding = [] if self._outstanding is None else [self._outstanding]
        return outstanding + list(self._queued)

    @property
    def has_data(self) -> bool:
        """Whether `data_to_send` has something to return."""
        return bool(self._to_send)

    def data_to_send(self) -> list[str]:
        """Return the texts to send, in order, and forget them."""
        texts, self._to_send = self._to_send, []
        return texts

    def receive(self, text: str) -> list[Event]:
        """Take one text frame from the socket. Never raises for what a charge point sends."""
        frame = self._read(text)
        if self._open is None and isinstance(frame, Call):
            self._open = frame  # and none waits: the next one is handed out with each answer
            return [frame]
        if isinstance(frame, CallResult | CallError):
            return self._receive_answer(frame)
        if frame.message_id is None:
            return [frame]
        if len(self._pending) >= self._max_pending:
            return self._refuse(frame)
        self._pending.append(frame)
        return self._hand_out()

    def answer(self, call: Call, payload: Mapping[str, Any]) -> list[Event]:
        """Answer the open call with a CALLRESULT; the events hold the next call, if one waits.

        Raises:
            CallNotOpen: `call` has its answer already or was not handed out yet.
        """
        return self._close(call, encode_call_result(call.message_id, payload))

    def fail(
        self,
        call: Call,
        code: ErrorCode,
        description: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> list[Event]:
        """Answer the open call with a CALLERROR; the events hold the next call, if one waits.

        Raises:
            CallNotOpen: `call` has its answer already or was not handed out yet.
        """
        return self._close(call, encode_call_error(call.message_id, code, description, details))

    def call(self, message_id: str, action: str, payload: Mapping[str, Any]) -> list[Event]:
        """Send a call, now or when all calls before it have ended.

        The events hold its `CallSent` if it goes out now. `message_id` must differ from those of
        the calls that wait; OCPP-J allows 36 characters.

        Raises:
            TooManyPendingCalls: the queue is full.
        """
        if len(self._queued) >= self._max_queued:
            raise TooManyPendingCalls(f"{len(self._queued)} calls wait for this charge point")
        self._queued[message_id] = encode_call(message_id, action, payload)
        return self._send_next()

    def expire_call(self, message_id: str) -> list[Event]:
        """Give up our call: its slot is free for the next, a later answer is unknown.

        Does nothing if the call has ended already.
        """
        self._queued.pop(message_id, None)
        if message_id == self._outstanding:
            self._outstanding = None
        return self._send_next()

    def _receive_answer(self, answer: CallResult | CallError) -> list[Event]:
        if answer.message_id != self._outstanding:
            return [UnknownAnswer(answer)]
        self._outstanding = None
        return [answer, *self._send_next()]

    def _send_next(self) -> list[Event]:
        if self._outstanding is not None or not self._queued:
            return []
        self._outstanding = next(iter(self._queued))
        self._to_send.append(self._queued.pop(self._outstanding))
        return [CallSent(self._outstanding)]

    def _hand_out(self) -> list[Event]:
        """Move on until a call is open; a malformed frame is answered when its turn comes."""
        events: list[Event] = []
        while self._open is None and self._pending:
            frame = self._pending.popleft()
            events.append(frame)
            if isinstance(frame, Call):
                self._open = frame
            else:
                self._send_error(frame, frame.code, frame.reason)
        return events

    def _close(self, call: Call, text: str) -> list[Event]:
        if call is not self._open:
            raise CallNotOpen(f"{call.action} {call.message_id} is not the open call")
        self._open = None
        self._to_send.append(text)
        return self._hand_out()

    def _refuse(self, frame: Call | Malformed) -> list[Event]:
        reason = "Too many calls wait for their answer: send one call at a time."
        self._send_error(frame, ErrorCode.INTERNAL_ERROR, reason)
        return [CallRefused(frame) if isinstance(frame, Call) else frame]

    def _send_error(self, frame: Call | Malformed, code: ErrorCode, reason: str) -> None:
        if frame.message_id is not None:
            self._to_send.append(encode_call_error(frame.message_id, code, reason))
