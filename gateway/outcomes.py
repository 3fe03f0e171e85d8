"""What becomes of a command: the errors that end it, and the charge point's answer translated."""

from datetime import datetime
from typing import Any

import orjson
import structlog

from csms.gateway.v1.gateway_link_pb2 import CallErrorReceived, CommandResult, DeliverCommand
from gateway.masking import mask
from gateway.ocppj.frames import CallError, CallResult, ErrorCode, Malformed
from gateway.repair import Repairer
from gateway.text import storable
from ocpp16.codec import Codec, CodecError
from servicekit.clock import Clock
from servicekit.errors import ErrorKind, InvalidRequest, PlatformError, Violation
from servicekit.status import to_status
from servicekit.timestamps import to_timestamp

log = structlog.get_logger()


class CommandExpired(PlatformError):
    """A command whose time to be sent is over."""

    kind, reason = ErrorKind.DEADLINE_EXCEEDED, "COMMAND_EXPIRED"


class ConnectionReplaced(PlatformError):
    """A command for a connection that is no longer the charge point's newest."""

    kind, reason = ErrorKind.ABORTED, "CONNECTION_REPLACED"


class ConnectionLost(PlatformError):
    """A connection that ended before the command was answered."""

    kind, reason = ErrorKind.UNAVAILABLE, "CONNECTION_LOST"


class CommandAnswerTimeout(PlatformError):
    """A charge point that did not answer in time."""

    kind, reason = ErrorKind.DEADLINE_EXCEEDED, "COMMAND_ANSWER_TIMEOUT"


class AnswerUnreadable(PlatformError):
    """An answer that does not fit its schema and could not be repaired."""

    kind, reason = ErrorKind.FAILED_PRECONDITION, "ANSWER_UNREADABLE"


class TooManyPendingCommands(PlatformError):
    """More commands than the gateway or the socket holds at a time."""

    kind, reason = ErrorKind.RESOURCE_EXHAUSTED, "TOO_MANY_PENDING_COMMANDS"


class Outcomes:
    """Translates commands for charge points, and their answers back.

    Args:
        codec: Between JSON and protobuf.
        repairer: Validates answers and repairs them.
        clock: The time of day.
    """

    def __init__(self, codec: Codec, repairer: Repairer, clock: Clock) -> None:
        self._codec, self._repairer, self._clock = codec, repairer, clock

    def action_of(self, command: DeliverCommand) -> str:
        """Name the action of a command.

        Raises:
            InvalidRequest: It holds none.
        """
        try:
            return self._codec.central_system_calls.action_of(command.call)
        except CodecError as error:
            raise _invalid(error) from None

    def payload_of(self, action: str, command: DeliverCommand) -> dict[str, Any]:
        """Return the payload of a command's CALL.

        Raises:
            InvalidRequest: OCPP cannot say what the command says.
        """
        try:
            return self._codec.request_to_json(action, command.call)
        except CodecError as error:
            raise _invalid(error) from None

    def answered(
        self, command_id: str, action: str, answer: CallResult | CallError
    ) -> CommandResult:
        """Return the result that an answer makes.

        Raises:
            AnswerUnreadable: The answer cannot be understood; its text should be kept.
        """
        now = self._clock.now()
        result = CommandResult(command_id=command_id, complete_time=to_timestamp(now), sent=True)
        if isinstance(answer, CallError):
            result.call_error.CopyFrom(_call_error(answer))
        else:
            self._put_answer(result, action, answer, now)
        return result

    def failed(self, command_id: str, error: PlatformError, *, sent: bool) -> CommandResult:
        """Return the result of a command that has no answer."""
        return CommandResult(
            command_id=command_id,
            complete_time=to_timestamp(self._clock.now()),
            sent=sent,
            error=to_status(error),
        )

    def _put_answer(
        self, result: CommandResult, action: str, answer: CallResult, now: datetime
    ) -> None:
        repaired = self._repairer.repair_response(action, answer.payload, now)
        if repaired.violations:
            first = repaired.violations[0]  # its message may repeat a secret
            raise _unreadable(f"{first.path or 'payload'} violates {first.keyword}")
        if repaired.rules:
            log.debug("answer_repaired", command=result.command_id, rules=repaired.rules)
        try:
            result.answer.CopyFrom(self._codec.to_answer(action, repaired.payload))
        except CodecError as error:
            raise _unreadable(f"{error.path or 'payload'} has no place in the API") from None


def unreadable_frame(action: str, answer: CallResult | CallError, reason: str) -> Malformed:
    """Return an answer as it is kept in quarantine: without secrets."""
    text = mask(answer.text, action)
    return Malformed(answer.message_id, action, ErrorCode.FORMATION_VIOLATION, reason, text)


def _unreadable(what: str) -> AnswerUnreadable:
    return AnswerUnreadable(
        f"The charge point answered, but its answer cannot be understood: {what}; its text is kept "
        "with the unreadable frames.",
        violation=what,
    )


def _invalid(error: CodecError) -> InvalidRequest:
    return InvalidRequest([Violation(f"call.{error.path}".rstrip("."), error.reason)])


def _call_error(answer: CallError) -> CallErrorReceived:
    return CallErrorReceived(
        code=storable(answer.code),
        description=storable(answer.description),
        details=_json(answer.details),
    )


def _json(details: Any) -> str:
    try:
        return orjson.dumps(details).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, or an integer of more than 64 bits
        return "{}"
