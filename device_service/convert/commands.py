"""Between the messages about commands and the domain."""

import hashlib
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2

from csms.ocpp.v16.central_system_call_pb2 import CentralSystemAnswer, CentralSystemCall
from csms.v1 import command_service_pb2 as pb
from device_service.convert.charge_points import COLLECTION, charge_point_name, parent_name
from device_service.convert.payloads import Payloads, mask_secrets
from device_service.domain import ChargePointId, charge_point_id, escaped
from device_service.domain.commands import (
    Command,
    CommandState,
    SessionOutcome,
    answer_timeout,
    command_id,
    expire_time,
    request_id,
    session_id,
    wait,
)
from servicekit.errors import PlatformError
from servicekit.pagination import Page, PageRequest, page_request, page_size
from servicekit.parsing import Parsing
from servicekit.resource_names import child_ids, resource_id
from servicekit.status import to_status
from servicekit.timestamps import to_datetime, to_duration, to_timestamp

_COMMANDS = "commands"
_SESSIONS = "sessions"
_MAX_REQUESTER = 200
_OPERATOR = "operator"

_STATE = {state: pb.Command.State.Value(f"STATE_{state.name}") for state in CommandState}
_STATE_OF: dict[int, CommandState] = {number: state for state, number in _STATE.items()}
_OUTCOME = {
    outcome: pb.Command.SessionOutcome.Value(f"SESSION_OUTCOME_{outcome.name}")
    for outcome in SessionOutcome
}
Metadata = Iterable[tuple[str, str | bytes]]


def command_name(value: str) -> tuple[ChargePointId, uuid.UUID]:
    """Parse `chargePoints/{charge_point}/commands/{command}`.

    Raises:
        ValueError: It has another shape.
    """
    parent, child = child_ids(value, COLLECTION, _COMMANDS)
    return charge_point_id(parent), command_id(child)


def requester(metadata: Metadata) -> str:
    """Return who asks, as printable ASCII; `operator` when nobody said."""
    given = dict(metadata).get("x-requester", "")
    return escaped(str(given), _MAX_REQUESTER) or _OPERATOR


def create_request(
    request: pb.CreateCommandRequest,
    payloads: Payloads,
    *,
    new_id: uuid.UUID,
    now: datetime,
    requester: str,
    traceparent: str,
) -> tuple[Command, timedelta]:
    """Parse a command that is to be created, and how long to wait for its outcome."""
    wanted = request.command
    with Parsing() as field:
        key = field("parent", charge_point_name, request.parent)
        call = payloads.request(field, wanted)
        session = field("command.session", _session, wanted)
        expires = field(
            "command.expire_time",
            lambda command: expire_time(
                to_datetime(command.expire_time) if command.HasField("expire_time") else None,
                now,
                deliver_when_online=command.deliver_when_online,
            ),
            wanted,
        )
        timeout = field("command.answer_timeout", _answer_timeout, wanted)
        waits = field("wait", _wait, request)
        repeatable = field("request_id", request_id, request.request_id)
    return Command(
        command_id=new_id,
        charge_point_id=key,
        action=payloads.action(call),
        request=call.SerializeToString(deterministic=True),
        requester=requester,
        create_time=now,
        expire_time=expires,
        answer_timeout=timeout,
        deliver_when_online=wanted.deliver_when_online,
        request_id=repeatable,
        request_digest=_digest(wanted, call),
        traceparent=traceparent,
        session=session,
    ), waits


def get_request(
    request: pb.GetCommandRequest,
) -> tuple[ChargePointId, uuid.UUID, timedelta]:
    """Parse which command is asked for, and how long to wait for its outcome."""
    with Parsing() as field:
        name = field("name", command_name, request.name)
        waits = field("wait", _wait, request)
    return *name, waits


def named(
    request: pb.CancelCommandRequest | pb.WatchCommandRequest,
) -> tuple[ChargePointId, uuid.UUID]:
    """Parse a request that only names a command."""
    with Parsing() as field:
        return field("name", command_name, request.name)


def list_request(
    request: pb.ListCommandsRequest,
) -> tuple[PageRequest, ChargePointId | None, CommandState | None]:
    """Parse which page of whose commands is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        key = field("parent", parent_name, request.parent)
        state = field("state", _state, request.state)
    return page_request(size, request.page_token, _COMMANDS, key, state), key, state


def to_command(command: Command) -> pb.Command:
    """Return the command as operators see it."""
    call = CentralSystemCall.FromString(command.request)
    name = call.WhichOneof("request")
    assert name is not None
    payload: dict[str, Any] = {name: getattr(call, name)}
    message = pb.Command(
        name=f"{COLLECTION}/{command.charge_point_id}/{_COMMANDS}/{command.command_id}",
        state=_STATE[command.state],
        deliver_when_online=command.deliver_when_online,
        expire_time=to_timestamp(command.expire_time),
        answer_timeout=to_duration(command.answer_timeout),
        requester=command.requester,
        create_time=to_timestamp(command.create_time),
        send_time=to_timestamp(command.send_time),
        complete_time=to_timestamp(command.complete_time),
        session=command.session,
        **payload,
    )
    _put_result(message, command)
    mask_secrets(message)
    return message


def to_commands(page: Page[Command]) -> pb.ListCommandsResponse:
    """Return a page of commands as operators see it."""
    return pb.ListCommandsResponse(
        commands=[to_command(row) for row in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def error_bytes(error: PlatformError) -> bytes:
    """Return an error as a serialized `google.rpc.Status`."""
    return bytes(to_status(error).SerializeToString())


def _put_result(message: pb.Command, command: Command) -> None:
    if command.response:
        message.response.CopyFrom(CentralSystemAnswer.FromString(command.response))
    if command.call_error:
        code, description, details = command.call_error
        message.call_error.CopyFrom(
            pb.Command.CallError(code=code, description=description, details=details)
        )
    if command.error:
        message.error.CopyFrom(status_pb2.Status.FromString(command.error))
    if command.session_outcome:
        message.session_outcome = _OUTCOME[command.session_outcome]


def _digest(wanted: pb.Command, call: CentralSystemCall) -> bytes:
    """Return what stands for all that a creation asks for; what is left to us counts as absent."""
    asked = pb.Command(deliver_when_online=wanted.deliver_when_online, session=wanted.session)
    for name in ("expire_time", "answer_timeout"):
        if wanted.HasField(name):
            getattr(asked, name).CopyFrom(getattr(wanted, name))
    parts = (part.SerializeToString(deterministic=True) for part in (asked, call))
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def _session(command: pb.Command) -> str:
    """Parse the session that a remote stop is for; whether it exists, session_service knows."""
    name = command.session
    if name and command.WhichOneof("payload") != "remote_stop_transaction":
        raise ValueError("must be empty, except with remote_stop_transaction")
    return f"{_SESSIONS}/{session_id(resource_id(name, _SESSIONS))}" if name else ""


def _answer_timeout(command: pb.Command) -> timedelta:
    given = command.HasField("answer_timeout")
    return answer_timeout(_to_timedelta(command.answer_timeout) if given else None)


def _wait(request: pb.CreateCommandRequest | pb.GetCommandRequest) -> timedelta:
    return wait(_to_timedelta(request.wait))


def _to_timedelta(duration: Duration) -> timedelta:
    try:
        return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)
    except OverflowError:
        raise ValueError("must be a duration of at most 10000 years") from None


def _state(number: int) -> CommandState | None:
    if number == pb.Command.STATE_UNSPECIFIED:
        return None
    if number not in _STATE_OF:
        raise ValueError("must be a known state, or unspecified for all")
    return _STATE_OF[number]
