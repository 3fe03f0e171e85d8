"""Between the operators' messages and the quarantine."""

import uuid

from csms.v1 import session_service_pb2 as pb
from servicekit.pagination import Page, PageRequest, page_request, page_size
from servicekit.parsing import Parsing
from servicekit.resource_names import resource_id
from servicekit.timestamps import to_timestamp
from session_service.convert.names import SESSIONS, charge_point_id, comment, session_id
from session_service.domain.quarantine import (
    QuarantineEntry,
    QuarantineFilter,
    QuarantineReason,
    QuarantineState,
    Resolution,
)

_COLLECTION = "quarantine"
_STATE = {
    QuarantineState.OPEN: pb.QuarantineEntry.STATE_OPEN,
    QuarantineState.RESOLVED: pb.QuarantineEntry.STATE_RESOLVED,
}
_STATE_FILTER = {number: state for state, number in _STATE.items()}


def named(request: pb.GetQuarantineEntryRequest) -> uuid.UUID:
    """Parse a request that only names an entry."""
    with Parsing() as field:
        return field("name", _entry_id, request.name)


def list_request(
    request: pb.ListQuarantineEntriesRequest,
) -> tuple[PageRequest, QuarantineFilter]:
    """Parse which page of which entries is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        wanted = QuarantineFilter(
            charge_point_id=field("charge_point", charge_point_id, request.charge_point),
            state=field("state", _state, request.state),
            reason=field("reason", _reason, request.reason),
        )
    return page_request(size, request.page_token, "quarantine", wanted), wanted


def resolve_request(
    request: pb.ResolveQuarantineEntryRequest,
) -> tuple[uuid.UUID, str, uuid.UUID | None]:
    """Parse which entry is resolved, how, and the session that it belonged to."""
    with Parsing() as field:
        return (
            field("name", _entry_id, request.name),
            field("comment", _comment, request.comment),
            field("session", session_id, request.session) if request.session else None,
        )


def to_list_response(page: Page[QuarantineEntry]) -> pb.ListQuarantineEntriesResponse:
    """Return a page of quarantine entries as operators see it."""
    return pb.ListQuarantineEntriesResponse(
        quarantine_entries=[to_message(entry) for entry in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def to_message(entry: QuarantineEntry) -> pb.QuarantineEntry:
    """Return an entry as operators see it."""
    message = pb.QuarantineEntry(
        name=f"{_COLLECTION}/{entry.id}",
        charge_point=f"chargePoints/{entry.charge_point_id}",
        action=entry.action,
        reason=entry.reason.value,
        detail=entry.detail,
        raw_text=entry.raw_text,
        receive_time=to_timestamp(entry.receive_time),
        state=_STATE[entry.state],
    )
    if entry.resolution is not None:
        message.MergeFrom(_resolved(entry.resolution))
    return message


def _resolved(resolution: Resolution) -> pb.QuarantineEntry:
    session = resolution.session_id
    return pb.QuarantineEntry(
        resolve_time=to_timestamp(resolution.time),
        resolution=resolution.comment,
        resolved_by=resolution.resolved_by,
        session=f"{SESSIONS}/{session}" if session else "",
    )


def _entry_id(name: str) -> uuid.UUID:
    try:
        return uuid.UUID(resource_id(name, _COLLECTION))
    except ValueError:
        raise ValueError("must be a name like quarantine/0190a7c2-…, with a UUID") from None


def _comment(text: str) -> str:
    if not text.strip():
        raise ValueError("must tell how the entry was resolved")
    return comment(text)


def _state(number: int) -> QuarantineState | None:
    if number == pb.QuarantineEntry.STATE_UNSPECIFIED:
        return None
    if number not in _STATE_FILTER:
        raise ValueError("must be STATE_OPEN or STATE_RESOLVED")
    return _STATE_FILTER[pb.QuarantineEntry.State.ValueType(number)]


def _reason(word: str) -> QuarantineReason | None:
    try:
        return QuarantineReason(word) if word else None
    except ValueError:
        words = ", ".join(reason.value for reason in QuarantineReason)
        raise ValueError(f"must be one of {words}") from None
