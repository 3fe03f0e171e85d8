"""Between the operators' wishes for sessions and the commands of device_service."""

import uuid
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from csms.ocpp.v16 import core_pb2, types_pb2
from csms.v1 import charge_point_service_pb2 as charge_point_pb
from csms.v1 import command_service_pb2 as command_pb
from csms.v1 import session_service_pb2 as pb
from servicekit.errors import InvalidRequest, PlatformError, Violation
from servicekit.parsing import Parsing
from servicekit.timestamps import to_datetime
from session_service.convert.api import Metadata, requester
from session_service.convert.names import SESSIONS, charge_point_id, id_tag, session_id
from session_service.domain.remote import Order, RemoteStart, request_id, wait
from session_service.domain.sessions import Session
from session_service.domain.silence import Sighting

_FIELDS = {"parent": "charge_point"}
_START = "command.remote_start_transaction."


def start_request(request: pb.StartSessionRequest, metadata: Metadata) -> tuple[RemoteStart, Order]:
    """Parse the wish for a session; device_service judges what goes to the charge point."""
    profile = request.charging_profile
    with Parsing() as field:
        start = RemoteStart(
            charge_point_id=field("charge_point", _charge_point_id, request.charge_point),
            id_tag=field("id_tag", _id_tag, request.id_tag),
            connector_id=request.connector_id if request.HasField("connector_id") else None,
            charging_profile=profile.SerializeToString()
            if request.HasField("charging_profile")
            else None,
        )
        order = _order(field, request, metadata)
    return start, order


def stop_request(request: pb.StopSessionRequest, metadata: Metadata) -> tuple[uuid.UUID, Order]:
    """Parse which session is to be stopped."""
    with Parsing() as field:
        name = field("name", session_id, request.name)
        order = _order(field, request, metadata)
    return name, order


def to_sighting(charge_point: charge_point_pb.ChargePoint) -> Sighting:
    """Return what is known of a charge point itself."""
    return Sighting(
        to_datetime(charge_point.last_boot_time)
        if charge_point.HasField("last_boot_time")
        else None,
        to_datetime(charge_point.last_seen_time)
        if charge_point.HasField("last_seen_time")
        else None,
    )


def to_remote_start(start: RemoteStart, order: Order) -> command_pb.CreateCommandRequest:
    """Return the command that asks for a session."""
    profile = start.charging_profile
    request = core_pb2.RemoteStartTransactionRequest(
        id_tag=start.id_tag,
        connector_id=start.connector_id,
        charging_profile=None if profile is None else types_pb2.ChargingProfile.FromString(profile),
    )
    command = command_pb.Command(remote_start_transaction=request)
    return _creation(start.charge_point_id, command, order)


def to_remote_stop(session: Session, order: Order) -> command_pb.CreateCommandRequest:
    """Return the command that asks to stop a session."""
    request = core_pb2.RemoteStopTransactionRequest(transaction_id=session.transaction_id)
    command = command_pb.Command(
        session=f"{SESSIONS}/{session.id}", remote_stop_transaction=request
    )
    return _creation(session.charge_point_id, command, order)


def to_own_fields(error: PlatformError) -> PlatformError:
    """Return an error of device_service in the words of our own requests."""
    if not isinstance(error, InvalidRequest):
        return error
    return InvalidRequest(
        [Violation(_own_field(item.field), item.description) for item in error.violations]
    )


def _own_field(path: str) -> str:
    return _FIELDS.get(path, path.removeprefix(_START))


def _creation(
    key: str, command: command_pb.Command, order: Order
) -> command_pb.CreateCommandRequest:
    request = command_pb.CreateCommandRequest(
        parent=f"chargePoints/{key}", command=command, request_id=order.request_id
    )
    request.wait.FromTimedelta(order.wait)
    return request


def _order(
    field: Parsing, request: pb.StartSessionRequest | pb.StopSessionRequest, metadata: Metadata
) -> Order:
    return Order(
        wait=field("wait", _wait, request.wait),
        request_id=field("request_id", request_id, request.request_id),
        requester=requester(metadata),
    )


def _wait(duration: Duration) -> timedelta:
    try:
        return wait(timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000))
    except OverflowError:
        raise ValueError("must be from 0 seconds to 5 minutes") from None


def _charge_point_id(name: str) -> str:
    return _required(charge_point_id(name))


def _id_tag(name: str) -> str:
    return _required(id_tag(name))


def _required(value: str | None) -> str:
    if value is None:
        raise ValueError("is required")
    return value
