"""Between the charge points' messages and the domain."""

import hashlib
import uuid

from csms.gateway.v1 import authorization_pb2, call_pb2
from csms.ocpp.v16 import core_pb2, types_pb2
from servicekit.calls.server import CallContext, call_context
from servicekit.ids import IdSource
from servicekit.timestamps import to_datetime, to_timestamp
from session_service.convert.meter_values import meter_values
from session_service.convert.words import ocpp_json, words
from session_service.domain.facts import (
    AuthorizationStatus,
    IdTagInfo,
    Receipt,
    StartAnswer,
    StartKey,
    Stop,
    TagCheck,
)
from session_service.domain.quarantine import QuarantineEntry, QuarantineReason

_REASON = words(core_pb2.Reason.DESCRIPTOR)
_STATUS = {
    AuthorizationStatus(word): types_pb2.AuthorizationStatus.ValueType(number)
    for number, word in words(types_pb2.AuthorizationStatus.DESCRIPTOR).items()
}
_STATUS_OF = {number: status for status, number in _STATUS.items()}


def receipt(context: CallContext) -> Receipt:
    """Return how a call arrived."""
    return Receipt(context.receive_time, context.repairs, _kept(context.raw_frame))


def start_key(context: CallContext, request: core_pb2.StartTransactionRequest) -> StartKey:
    """Return what identifies a start."""
    time = to_datetime(request.timestamp)
    return StartKey(
        context.charge_point_id,
        request.connector_id,
        _kept(request.id_tag),
        request.meter_start,
        None if receipt(context).has_replaced(time) else time,
    )


def stop(context: CallContext, request: core_pb2.StopTransactionRequest) -> Stop:
    """Return a stop; what is known about its tag is added later."""
    arrived, time = receipt(context), to_datetime(request.timestamp)
    reported = None if arrived.has_replaced(time) else time
    return Stop(
        charge_point_id=context.charge_point_id,
        transaction_id=request.transaction_id,
        meter_stop=None if arrived.is_register_unknown else request.meter_stop,
        receipt=arrived,
        digest=_stop_digest(request, arrived, is_timed=reported is not None),
        raw_text=lambda: arrived.raw_frame or ocpp_json(request),
        message=lambda: _kept_message(context, request),
        time=reported,
        id_tag=_kept(request.id_tag) if request.HasField("id_tag") else None,
        reason=_REASON[request.reason] if request.HasField("reason") else None,
        meter_values=meter_values(_copy(request).transaction_data),
    )


def kept_stop(message: bytes) -> Stop:
    """Read a stop that was kept until its start would come."""
    call = call_pb2.Call.FromString(message)
    return stop(call_context(call), call.request.stop_transaction)


def empty_report(context: CallContext, new_id: IdSource) -> QuarantineEntry:
    """Return the entry of meter values of which the repair has left nothing."""
    return QuarantineEntry(
        new_id(),
        context.charge_point_id,
        "MeterValues",
        QuarantineReason.EMPTY_METER_VALUES,
        f"No sample could be read; repaired by {', '.join(context.repairs)}.",
        _kept(context.raw_frame),
        context.receive_time,
        _occurrence(context),
    )


def unreadable_frame(
    context: CallContext, frame: call_pb2.UnreadableFrame, new_id: IdSource
) -> QuarantineEntry:
    """Return the entry of a frame that could not be understood; each occurrence has one."""
    return QuarantineEntry(
        new_id(),
        context.charge_point_id,
        _kept(frame.action),
        QuarantineReason.UNREADABLE_FRAME,
        _kept(f"{frame.error_code}: {frame.reason}" if frame.error_code else frame.reason),
        _kept(context.raw_frame),
        context.receive_time,
        _occurrence(context),
    )


def to_start_response(answer: StartAnswer) -> core_pb2.StartTransactionResponse:
    """Return the answer to a start."""
    return core_pb2.StartTransactionResponse(
        id_tag_info=_to_id_tag_info(answer.id_tag_info), transaction_id=answer.transaction_id
    )


def to_stop_response(info: IdTagInfo | None) -> core_pb2.StopTransactionResponse:
    """Return the answer to a stop."""
    return core_pb2.StopTransactionResponse(id_tag_info=_to_id_tag_info(info) if info else None)


def to_tag_check(response: authorization_pb2.CheckIdTagResponse) -> TagCheck:
    """Return what auth_service says about a tag."""
    info = response.id_tag_info
    return TagCheck(
        IdTagInfo(
            _STATUS_OF[info.status],
            to_datetime(info.expiry_date) if info.HasField("expiry_date") else None,
            info.parent_id_tag if info.HasField("parent_id_tag") else None,
        ),
        response.max_active_transactions,
    )


def _to_id_tag_info(info: IdTagInfo) -> types_pb2.IdTagInfo:
    return types_pb2.IdTagInfo(
        expiry_date=to_timestamp(info.expire_time),
        parent_id_tag=info.parent,
        status=_STATUS[info.status],
    )


def _kept(text: str) -> str:
    """Return a text that PostgreSQL can hold: it knows no NUL, which is written as in JSON."""
    return text.replace("\0", "\\u0000")


def _kept_message(context: CallContext, request: core_pb2.StopTransactionRequest) -> bytes:
    call = call_pb2.Call(
        charge_point_id=context.charge_point_id,
        connection_id=context.connection_id,
        message_id=context.message_id,
        receive_time=to_timestamp(context.receive_time),
        repairs=context.repairs,
        raw_frame=context.raw_frame,
    )
    call.request.stop_transaction.CopyFrom(request)
    return call.SerializeToString()


def _copy(request: core_pb2.StopTransactionRequest) -> core_pb2.StopTransactionRequest:
    copy = core_pb2.StopTransactionRequest()
    copy.CopyFrom(request)
    return copy


def _without_times(request: core_pb2.StopTransactionRequest) -> core_pb2.StopTransactionRequest:
    """Return what a stop says whenever it is received, where its times are those of receipt."""
    copy = _copy(request)
    copy.ClearField("timestamp")
    for meter_value in copy.transaction_data:
        meter_value.ClearField("timestamp")
    return copy


def _stop_digest(
    request: core_pb2.StopTransactionRequest, arrived: Receipt, *, is_timed: bool
) -> uuid.UUID:
    said = request if is_timed else _without_times(request)
    content = said.SerializeToString(deterministic=True)
    return _hash(content + b"without register" if arrived.is_register_unknown else content)


def _occurrence(context: CallContext) -> uuid.UUID:
    """Identify one arrival of a frame, however often the gateway tells of it."""
    time = context.receive_time.isoformat()
    return _hash(f"{context.connection_id} {time} {context.raw_frame}".encode())


def _hash(content: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.blake2b(content, digest_size=16).digest())
