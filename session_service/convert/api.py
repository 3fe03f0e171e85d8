"""Between the operators' messages and the domain."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from csms.v1 import session_service_pb2 as pb
from servicekit.pagination import Page, PageRequest, page_request, page_size
from servicekit.parsing import Parsing
from servicekit.timestamps import to_datetime, to_duration, to_timestamp
from session_service.convert.names import SESSIONS, charge_point_id, comment, id_tag, session_id
from session_service.domain.ends import Closing, Source
from session_service.domain.sessions import Session, SessionFilter, SessionState
from session_service.domain.summary import MeterSummary

REQUESTER = "x-requester"
_MOST = 2**63 - 1
Metadata = Iterable[tuple[str, str | bytes]]

_STATE = {
    SessionState.ACTIVE: pb.Session.STATE_ACTIVE,
    SessionState.COMPLETED: pb.Session.STATE_COMPLETED,
}
_SOURCE = {
    Source.STATION: pb.Session.SOURCE_STATION,
    Source.INFERRED: pb.Session.SOURCE_INFERRED,
    Source.OPERATOR: pb.Session.SOURCE_OPERATOR,
}
_Bound = Literal["start_time_from", "start_time_until"]
_STATE_FILTER = {number: state for state, number in _STATE.items()}


def named(request: pb.GetSessionRequest) -> uuid.UUID:
    """Parse a request that only names a session."""
    with Parsing() as field:
        return field("name", session_id, request.name)


def list_request(request: pb.ListSessionsRequest) -> tuple[PageRequest, SessionFilter]:
    """Parse which page of which sessions is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        wanted = SessionFilter(
            charge_point_id=field("charge_point", charge_point_id, request.charge_point),
            id_tag=field("id_tag", id_tag, request.id_tag),
            state=field("state", _state, request.state),
            start_time_from=_time(field, request, "start_time_from"),
            start_time_until=_time(field, request, "start_time_until"),
        )
    return page_request(size, request.page_token, "sessions", wanted), wanted


def close_request(request: pb.CloseSessionRequest, metadata: Metadata) -> tuple[uuid.UUID, Closing]:
    """Parse which session is to be closed, and how."""
    with Parsing() as field:
        name = field("name", session_id, request.name)
        closing = Closing(
            time=field("stop_time", to_datetime, request.stop_time)
            if request.HasField("stop_time")
            else None,
            meter_stop=request.meter_stop_wh if request.HasField("meter_stop_wh") else None,
            comment=field("comment", comment, request.comment),
            closed_by=requester(metadata),
        )
    return name, closing


def requester(metadata: Metadata) -> str:
    """Return who asks; empty: nobody said."""
    return str(dict(metadata).get(REQUESTER, ""))


def to_message(session: Session, summary: MeterSummary | None = None) -> pb.Session:
    """Return the session as operators see it, with the sum of its meter values if it is known."""
    message = pb.Session(
        name=f"{SESSIONS}/{session.id}",
        ocpp_transaction_id=session.transaction_id,
        charge_point=f"chargePoints/{session.charge_point_id}",
        connector_id=session.connector_id,
        id_tag=f"idTags/{session.id_tag}" if session.id_tag else "",
        state=_STATE[session.state],
        authorization_status=session.id_tag_info.status.value,
        start_time=to_timestamp(session.start_time),
        start_receive_time=to_timestamp(session.start_receive_time),
        meter_start_wh=session.meter_start or 0,
        energy_wh=_int64(session.energy_wh),
        reservation_id=session.reservation_id,
        flags=session.open_questions,
        create_time=to_timestamp(session.create_time),
        start_source=_SOURCE[session.start_source],
        duration=to_duration(session.duration),
        average_power_w=_int64(session.average_power_w),
        meter_summary=None if summary is None else _summary(summary),
    )
    message.MergeFrom(_end(session))
    return message


def to_list_response(page: Page[Session]) -> pb.ListSessionsResponse:
    """Return a page of sessions as operators see it."""
    return pb.ListSessionsResponse(
        sessions=[to_message(session) for session in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def _summary(summary: MeterSummary) -> pb.MeterSummary:
    return pb.MeterSummary(
        meter_value_count=summary.meter_value_count,
        metered_energy_wh=_whole(summary.metered_energy_wh),
        peak_power_w=_whole(summary.peak_power_w),
        first_state_of_charge_percent=_whole(summary.first_state_of_charge),
        last_state_of_charge_percent=_whole(summary.last_state_of_charge),
        first_sample_time=to_timestamp(summary.first_sample_time),
        last_sample_time=to_timestamp(summary.last_sample_time),
    )


def _whole(number: Decimal | None) -> int | None:
    return None if number is None else _int64(int(number.to_integral_value(ROUND_HALF_UP)))


def _int64(number: int | None) -> int | None:
    """Return a number that fits its field: what is absurd must not hide the rest of a list."""
    return None if number is None else max(-_MOST, min(number, _MOST))


def _end(session: Session) -> pb.Session:
    end = session.end
    if end is None:
        return pb.Session()
    return pb.Session(
        stop_time=to_timestamp(end.time),
        stop_receive_time=to_timestamp(end.receive_time),
        meter_stop_wh=end.meter_stop,
        stop_reason=end.reason,
        stop_id_tag=f"idTags/{end.id_tag}" if end.id_tag else None,
        stop_source=_SOURCE[end.source],
        close_comment=end.comment,
        closed_by=end.closed_by,
    )


def _state(number: int) -> SessionState | None:
    if number == pb.Session.STATE_UNSPECIFIED:
        return None
    if number not in _STATE_FILTER:
        raise ValueError("must be STATE_ACTIVE or STATE_COMPLETED")
    return _STATE_FILTER[pb.Session.State.ValueType(number)]


def _time(field: Parsing, request: pb.ListSessionsRequest, name: _Bound) -> datetime | None:
    return field(name, to_datetime, getattr(request, name)) if request.HasField(name) else None
