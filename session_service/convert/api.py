"""Between the operators' messages and the domain."""

import uuid
from datetime import datetime
from typing import Literal

from csms.v1 import session_service_pb2 as pb
from servicekit.pagination import Page, PageRequest, page_request, page_size
from servicekit.parsing import Parsing
from servicekit.resource_names import resource_id
from servicekit.timestamps import to_datetime, to_timestamp
from session_service.domain.quarantine import QuarantineEntry
from session_service.domain.sessions import Session, SessionFilter, SessionState

COLLECTION = "sessions"
_STATE = {
    SessionState.ACTIVE: pb.Session.STATE_ACTIVE,
    SessionState.COMPLETED: pb.Session.STATE_COMPLETED,
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


def list_quarantine_request(
    request: pb.ListQuarantineEntriesRequest,
) -> tuple[PageRequest, str | None]:
    """Parse which page of whose quarantine entries is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        wanted = field("charge_point", charge_point_id, request.charge_point)
    return page_request(size, request.page_token, "quarantine", wanted), wanted


def to_message(session: Session) -> pb.Session:
    """Return the session as operators see it."""
    message = pb.Session(
        name=f"{COLLECTION}/{session.id}",
        ocpp_transaction_id=session.transaction_id,
        charge_point=f"chargePoints/{session.charge_point_id}",
        connector_id=session.connector_id,
        id_tag=f"idTags/{session.id_tag}" if session.id_tag else "",
        state=_STATE[session.state],
        authorization_status=session.id_tag_info.status.value,
        start_time=to_timestamp(session.start_time),
        start_receive_time=to_timestamp(session.start_receive_time),
        meter_start_wh=session.meter_start,
        energy_wh=session.energy_wh,
        reservation_id=session.reservation_id,
        flags=session.flags,
        create_time=to_timestamp(session.create_time),
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


def to_quarantine_response(page: Page[QuarantineEntry]) -> pb.ListQuarantineEntriesResponse:
    """Return a page of quarantine entries as operators see it."""
    return pb.ListQuarantineEntriesResponse(
        quarantine_entries=[_quarantine_entry(entry) for entry in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


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
    )


def _quarantine_entry(entry: QuarantineEntry) -> pb.QuarantineEntry:
    return pb.QuarantineEntry(
        name=f"quarantine/{entry.id}",
        charge_point=f"chargePoints/{entry.charge_point_id}",
        action=entry.action,
        reason=entry.reason.value,
        detail=entry.detail,
        raw_text=entry.raw_text,
        receive_time=to_timestamp(entry.receive_time),
    )


def session_id(name: str) -> uuid.UUID:
    """Parse `sessions/{session}`.

    Raises:
        ValueError: It has another shape.
    """
    text = resource_id(name, COLLECTION)
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ValueError("must be a name like sessions/0190a7c2-…, with a UUID") from None


def charge_point_id(name: str) -> str | None:
    """Parse `chargePoints/{charge_point}`; None when it is empty.

    Raises:
        ValueError: It has another shape.
    """
    return resource_id(_without_nul(name), "chargePoints") if name else None


def id_tag(name: str) -> str | None:
    """Parse the name of a tag, which holds any characters, `/` among them; None when it is empty.

    Raises:
        ValueError: It has another shape.
    """
    if not name:
        return None
    prefix, _, text = _without_nul(name).partition("/")
    if prefix != "idTags" or not text:
        raise ValueError("must be a name like idTags/…")
    return text


def _without_nul(name: str) -> str:
    if "\0" in name:
        raise ValueError("must not hold a NUL character")
    return name


def _state(number: int) -> SessionState | None:
    if number == pb.Session.STATE_UNSPECIFIED:
        return None
    if number not in _STATE_FILTER:
        raise ValueError("must be STATE_ACTIVE or STATE_COMPLETED")
    return _STATE_FILTER[pb.Session.State.ValueType(number)]


def _time(field: Parsing, request: pb.ListSessionsRequest, name: _Bound) -> datetime | None:
    return field(name, to_datetime, getattr(request, name)) if request.HasField(name) else None
