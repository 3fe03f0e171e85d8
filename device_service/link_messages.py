"""Between the messages of gateway links and what the rest of device_service says."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.ocpp.v16 import central_system_call_pb2
from device_service.domain.frames import Frame
from device_service.facts import ConnectionClosed, ConnectionOpened
from device_service.gateways import Hello
from device_service.links import (
    Beat,
    BeginWatch,
    Drain,
    EndWatch,
    Link,
    Outgoing,
    ResultStored,
)
from device_service.ocpp import storable
from device_service.ports import Delivery, Outcome
from servicekit.parsing import Parsing
from servicekit.timestamps import to_datetime, to_timestamp

_MAX_TEXT = 200


def hello(message: pb.Hello, now: datetime) -> Hello:
    """Parse how a gateway introduces itself.

    Raises:
        InvalidRequest: It does not say who it is.
    """
    with Parsing() as field:
        gateway_id = field("hello.gateway_id", _identity, message.gateway_id)
        instance_id = field("hello.instance_id", _identity, message.instance_id)
    return Hello(
        gateway_id,
        instance_id,
        storable(message.version)[:_MAX_TEXT],
        tuple(opened(item, gateway_id, instance_id, now) for item in message.attached),
        tuple(message.unanswered_command_ids),
    )


def opened(
    message: pb.ChargePointAttached, gateway_id: str, instance_id: str, now: datetime
) -> ConnectionOpened:
    """Return a connection that a gateway holds."""
    return ConnectionOpened(
        charge_point_id=message.charge_point_id,
        connection_id=message.connection_id,
        gateway_id=gateway_id,
        gateway_instance_id=instance_id,
        remote_address=message.remote_address,
        subprotocol=message.subprotocol,
        open_time=_time(message.open_time, now),
        beat_time=now,
    )


def closed(message: pb.ChargePointDetached, now: datetime) -> ConnectionClosed:
    """Return the end of a connection."""
    return ConnectionClosed(
        charge_point_id=message.charge_point_id,
        connection_id=message.connection_id,
        close_time=_time(message.close_time, now),
        close_code=message.close_code,
        reason=storable(message.reason),
    )


def seen(message: pb.LinkHeartbeat, now: datetime) -> Mapping[str, datetime]:
    """Return when charge points were heard."""
    return {
        item.charge_point_id: _time(item.last_seen_time, now) for item in message.charge_points_seen
    }


def send_time(message: pb.CommandSent, now: datetime) -> datetime:
    """Return when a command was written to its socket."""
    return _time(message.send_time, now)


def outcome(message: pb.CommandResult, now: datetime) -> Outcome:
    """Return how a command ended."""
    kind = message.WhichOneof("outcome")
    error = message.call_error
    return Outcome(
        message.command_id,
        _time(message.complete_time, now),
        message.sent,
        response=message.answer.SerializeToString() if kind == "answer" else b"",
        call_error=(storable(error.code), storable(error.description), storable(error.details))
        if kind == "call_error"
        else None,
        error=message.error.SerializeToString() if kind == "error" else b"",
    )


def frames(message: pb.WatchedFrames, now: datetime) -> list[Frame]:
    """Return the frames that a watcher is to see."""
    return [
        Frame(
            time=_time(item.time, now),
            from_charge_point=item.from_charge_point,
            text=item.text,
            action=item.action,
            repairs=tuple(item.repairs),
            connection_id=item.connection_id,
        )
        for item in message.frames
    ]


def to_welcome(
    link: Link, heartbeat_interval: timedelta, max_in_flight: int, replica_id: str
) -> pb.ConnectResponse:
    """Return what lets a gateway in."""
    return pb.ConnectResponse(
        welcome=pb.Welcome(
            epoch=link.epoch,
            heartbeat_interval=_duration(heartbeat_interval),
            max_in_flight=max_in_flight,
            replica_id=replica_id,
        )
    )


def to_response(message: Outgoing) -> pb.ConnectResponse:
    """Return what a gateway is told."""
    match message:
        case Delivery():
            return pb.ConnectResponse(deliver_command=_deliver(message))
        case ResultStored():
            return pb.ConnectResponse(result_stored=pb.ResultStored(command_id=message.command_id))
        case Beat():
            beat = pb.LinkHeartbeat(in_flight_count=message.in_flight_count)
            return pb.ConnectResponse(heartbeat=beat)
        case BeginWatch(watch_id, charge_point_id):
            watch = pb.WatchFrames(watch_id=watch_id, charge_point_id=charge_point_id)
            return pb.ConnectResponse(watch_frames=watch)
        case EndWatch(watch_id):
            return pb.ConnectResponse(unwatch_frames=pb.UnwatchFrames(watch_id=watch_id))
        case Drain():
            return pb.ConnectResponse(drain=pb.Drain(grace_period=_duration(message.grace_period)))


def _deliver(delivery: Delivery) -> pb.DeliverCommand:
    return pb.DeliverCommand(
        command_id=delivery.command_id,
        charge_point_id=delivery.charge_point_id,
        connection_id=delivery.connection_id,
        expire_time=to_timestamp(delivery.expire_time),
        answer_timeout=_duration(delivery.answer_timeout),
        traceparent=delivery.traceparent,
        call=central_system_call_pb2.CentralSystemCall.FromString(delivery.request),
    )


def _identity(value: str) -> str:
    if not (1 <= len(value) <= _MAX_TEXT and value.isprintable()):
        raise ValueError("must be 1 to 200 printable characters")
    return value


def _time(message: Timestamp, now: datetime) -> datetime:
    """Return a time of a gateway; its clock may be set wrongly, but nothing is lost for that."""
    try:
        return min(to_datetime(message), now) if message.seconds else now
    except ValueError:
        return now


def _duration(value: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(value)
    return message
