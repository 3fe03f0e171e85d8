"""Between the API's messages and the domain; the only place that knows both vocabularies."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from csms.gateway.v1 import admission_pb2
from csms.v1 import charge_point_service_pb2 as pb
from device_service.domain import (
    ALL,
    ChargePoint,
    ChargePointId,
    Connector,
    Notice,
    RefusedHandshake,
    State,
    Verdict,
    action,
    charge_point_id,
    connector_id,
    display_name,
    heartbeat_interval,
)
from device_service.domain.frames import Frame
from device_service.use_cases import Handshake
from servicekit.field_mask import fields_to_change
from servicekit.pagination import Page, PageRequest, page_request, page_size
from servicekit.parsing import Parsing
from servicekit.resource_names import child_ids, resource_id
from servicekit.timestamps import to_duration, to_timestamp

COLLECTION = "chargePoints"
_CONNECTORS = "connectors"
_NOTICES = "notices"
_MUTABLE = ("display_name", "heartbeat_interval", "subprotocol_optional")

_STATE = {
    State.PENDING: pb.ChargePoint.STATE_PENDING,
    State.ACCEPTED: pb.ChargePoint.STATE_ACCEPTED,
    State.REJECTED: pb.ChargePoint.STATE_REJECTED,
}
_STATE_OF: dict[int, State] = {number: state for state, number in _STATE.items()}
_VERDICT = {
    Verdict.ADMITTED: admission_pb2.VERDICT_ADMITTED,
    Verdict.UNKNOWN_CHARGE_POINT: admission_pb2.VERDICT_UNKNOWN_CHARGE_POINT,
    Verdict.SUBPROTOCOL_MISSING: admission_pb2.VERDICT_SUBPROTOCOL_MISSING,
    Verdict.REFUSED_BY_GATEWAY: admission_pb2.VERDICT_REFUSED_BY_GATEWAY,
}


def charge_point_name(value: str) -> ChargePointId:
    """Parse `chargePoints/{charge_point}`.

    Raises:
        ValueError: It has another shape.
    """
    return charge_point_id(resource_id(value, COLLECTION))


def parent_name(value: str) -> ChargePointId | None:
    """Parse `chargePoints/{charge_point}`; None stands for all, `chargePoints/-`.

    Raises:
        ValueError: It has another shape.
    """
    return None if resource_id(value, COLLECTION) == ALL else charge_point_name(value)


def connector_name(value: str) -> tuple[ChargePointId, int]:
    """Parse `chargePoints/{charge_point}/connectors/{connector}`.

    Raises:
        ValueError: It has another shape.
    """
    parent, child = child_ids(value, COLLECTION, _CONNECTORS)
    return charge_point_id(parent), connector_id(child)


def named(
    request: pb.GetChargePointRequest
    | pb.DeleteChargePointRequest
    | pb.AcceptChargePointRequest
    | pb.RejectChargePointRequest,
) -> ChargePointId:
    """Parse a request that only names a charge point."""
    with Parsing() as field:
        return field("name", charge_point_name, request.name)


def watched(request: pb.WatchFramesRequest) -> ChargePointId:
    """Parse a request to watch the frames of a charge point."""
    with Parsing() as field:
        return field("parent", charge_point_name, request.parent)


def to_frame(frame: Frame) -> pb.Frame:
    """Return the message of a frame."""
    direction = (
        pb.FRAME_DIRECTION_FROM_CHARGE_POINT
        if frame.from_charge_point
        else pb.FRAME_DIRECTION_TO_CHARGE_POINT
    )
    return pb.Frame(
        time=to_timestamp(frame.time),
        direction=direction,
        text=frame.text,
        action=frame.action,
        repairs=frame.repairs,
        connection_id=frame.connection_id,
        dropped_count=frame.dropped_count,
    )


def named_connector(request: pb.GetConnectorRequest) -> tuple[ChargePointId, int]:
    """Parse a request that only names a connector."""
    with Parsing() as field:
        return field("name", connector_name, request.name)


def list_charge_points(
    request: pb.ListChargePointsRequest,
) -> tuple[PageRequest, State | None, bool | None]:
    """Parse which page of which charge points is asked for."""
    online = request.online if request.HasField("online") else None
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        state = field("state", _state, request.state)
    return page_request(size, request.page_token, COLLECTION, state, online), state, online


def create_request(
    request: pb.CreateChargePointRequest,
) -> tuple[ChargePointId, Mapping[str, Any]]:
    """Parse the identity and the attributes of a new charge point."""
    with Parsing() as field:
        key = field("charge_point_id", charge_point_id, request.charge_point_id)
        values = {name: _attribute(field, request.charge_point, name) for name in _MUTABLE}
    return key, values


def update_request(
    request: pb.UpdateChargePointRequest,
) -> tuple[ChargePointId, Mapping[str, Any], str]:
    """Parse which charge point is to change, how, and from which version."""
    with Parsing() as field:
        key = field("charge_point.name", charge_point_name, request.charge_point.name)
        mask = request.update_mask if request.HasField("update_mask") else None
        names = fields_to_change(field, request.charge_point, mask, _MUTABLE)
        changes = {name: _attribute(field, request.charge_point, name) for name in names}
    return key, changes, request.charge_point.etag


def list_connectors(
    request: pb.ListConnectorsRequest,
) -> tuple[PageRequest, ChargePointId | None]:
    """Parse which page of whose connectors is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        key = field("parent", parent_name, request.parent)
    return page_request(size, request.page_token, _CONNECTORS, key), key


def list_notices(
    request: pb.ListNoticesRequest,
) -> tuple[PageRequest, ChargePointId | None, str]:
    """Parse which page of whose notices is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        key = field("parent", parent_name, request.parent)
        wanted = field("action", action, request.action)
    return page_request(size, request.page_token, _NOTICES, key, wanted), key, wanted


def list_refused_handshakes(request: pb.ListRefusedHandshakesRequest) -> PageRequest:
    """Parse which page of refused handshakes is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
    return page_request(size, request.page_token, "refusedHandshakes", key_length=3)


def handshake(request: admission_pb2.AdmitRequest) -> Handshake:
    """Return the handshake that a gateway asks about; nothing in it is wrong as such."""
    return Handshake(
        request.charge_point_id,
        request.remote_address,
        tuple(request.subprotocols),
        request.refusal_reason,
    )


def to_charge_point(charge_point: ChargePoint) -> pb.ChargePoint:
    """Return the charge point as operators see it."""
    hardware, link = charge_point.hardware, charge_point.link
    return pb.ChargePoint(
        name=f"{COLLECTION}/{charge_point.charge_point_id}",
        display_name=charge_point.display_name,
        state=_STATE[charge_point.state],
        online=link.online,
        last_seen_time=to_timestamp(link.last_seen_time),
        last_boot_time=to_timestamp(charge_point.last_boot_time),
        vendor=hardware.vendor,
        model=hardware.model,
        serial_number=hardware.serial_number,
        charge_box_serial_number=hardware.charge_box_serial_number,
        firmware_version=hardware.firmware_version,
        iccid=hardware.iccid,
        imsi=hardware.imsi,
        meter_type=hardware.meter_type,
        meter_serial_number=hardware.meter_serial_number,
        heartbeat_interval=to_duration(charge_point.heartbeat_interval),
        subprotocol_optional=charge_point.subprotocol_optional,
        firmware_status=charge_point.firmware_status,
        diagnostics_status=charge_point.diagnostics_status,
        remote_address=link.remote_address,
        gateway=link.gateway,
        connect_time=to_timestamp(link.connect_time),
        connection=link.connection_id,
        connection_generation=link.generation,
        create_time=to_timestamp(charge_point.create_time),
        update_time=to_timestamp(charge_point.update_time),
        etag=charge_point.etag,
    )


def to_charge_points(page: Page[ChargePoint]) -> pb.ListChargePointsResponse:
    """Return a page of charge points as operators see it."""
    return pb.ListChargePointsResponse(
        charge_points=[to_charge_point(row) for row in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def to_connector(connector: Connector) -> pb.Connector:
    """Return the connector as operators see it."""
    number = connector.connector_id
    return pb.Connector(
        name=f"{COLLECTION}/{connector.charge_point_id}/{_CONNECTORS}/{number}",
        connector_id=number,
        status=connector.status,
        error_code=connector.error_code,
        info=connector.info,
        vendor_id=connector.vendor_id,
        vendor_error_code=connector.vendor_error_code,
        status_time=to_timestamp(connector.status_time),
        receive_time=to_timestamp(connector.receive_time),
    )


def to_connectors(page: Page[Connector]) -> pb.ListConnectorsResponse:
    """Return a page of connectors as operators see it."""
    return pb.ListConnectorsResponse(
        connectors=[to_connector(row) for row in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def to_notices(page: Page[Notice]) -> pb.ListNoticesResponse:
    """Return a page of notices as operators see it."""
    return pb.ListNoticesResponse(
        notices=[_to_notice(row) for row in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def to_refused_handshakes(page: Page[RefusedHandshake]) -> pb.ListRefusedHandshakesResponse:
    """Return a page of refused handshakes as operators see it."""
    return pb.ListRefusedHandshakesResponse(
        refused_handshakes=[_to_refused_handshake(row) for row in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def to_admit_response(verdict: Verdict, subprotocol: str) -> admission_pb2.AdmitResponse:
    """Return what the gateway is told about a handshake."""
    return admission_pb2.AdmitResponse(verdict=_VERDICT[verdict], subprotocol=subprotocol)


def _to_notice(notice: Notice) -> pb.Notice:
    return pb.Notice(
        name=f"{COLLECTION}/{notice.charge_point_id}/{_NOTICES}/{notice.notice_id}",
        action=notice.action,
        payload=notice.payload,
        receive_time=to_timestamp(notice.receive_time),
        raw_frame=notice.raw_frame,
        repairs=notice.repairs,
    )


def _to_refused_handshake(refused: RefusedHandshake) -> pb.RefusedHandshake:
    return pb.RefusedHandshake(
        charge_point_id=refused.charge_point_id,
        remote_address=refused.remote_address,
        reason=refused.reason,
        last_refuse_time=to_timestamp(refused.last_refuse_time),
        first_refuse_time=to_timestamp(refused.first_refuse_time),
        refuse_count=refused.refuse_count,
    )


def _state(number: int) -> State | None:
    if number == pb.ChargePoint.STATE_UNSPECIFIED:
        return None
    if number not in _STATE_OF:
        raise ValueError("must be a known state, or unspecified for all")
    return _STATE_OF[number]


def _attribute(field: Parsing, charge_point: pb.ChargePoint, name: str) -> object:
    return field(f"charge_point.{name}", _PARSERS[name], charge_point)


def _heartbeat_interval(charge_point: pb.ChargePoint) -> timedelta | None:
    if not charge_point.HasField("heartbeat_interval"):
        return None
    duration = charge_point.heartbeat_interval
    if duration.nanos:
        raise ValueError("must be whole seconds, from 10 seconds to 1 day")
    return heartbeat_interval(timedelta(seconds=duration.seconds))


_PARSERS: dict[str, Callable[[pb.ChargePoint], object]] = {
    "display_name": lambda charge_point: display_name(charge_point.display_name),
    "heartbeat_interval": _heartbeat_interval,
    "subprotocol_optional": lambda charge_point: charge_point.subprotocol_optional,
}
