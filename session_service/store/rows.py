"""Sessions and quarantine entries as rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from session_service.domain.ends import End, Source
from session_service.domain.facts import AuthorizationStatus, IdTagInfo, Receipt, Start
from session_service.domain.flags import Flag
from session_service.domain.quarantine import QuarantineEntry, QuarantineReason, Resolution
from session_service.domain.sessions import Session

Row = Mapping[Any, Any]


def start_row(start: Start, info: IdTagInfo) -> dict[str, object]:
    """Return the row of a session that begins."""
    key, receipt = start.key, start.receipt
    return {
        "session_id": start.session_id,
        "charge_point_id": key.charge_point_id,
        "connector_id": key.connector_id,
        "id_tag": key.id_tag,
        "id_tag_key": key.id_tag.lower(),
        "authorization_status": info.status.value,
        "id_tag_expire_time": info.expire_time,
        "parent_id_tag": info.parent,
        "start_time": start.begin_time,
        "start_time_reported": key.time is not None,
        "start_receive_time": receipt.time,
        "meter_start": key.meter_start,
        "reservation_id": start.reservation_id,
        "start_repairs": list(receipt.repairs),
        "start_raw_frame": receipt.raw_frame or None,
        "flags": list(start.flags),
        "create_time": start.create_time,
    }


def end_row(session: Session, receipt: Receipt | None) -> dict[str, object]:
    """Return what changes in the row of a session when it ends; the receipt is that of its stop."""
    end = session.end
    assert end is not None
    info = end.id_tag_info
    return {
        "stop_time": end.time,
        "stop_time_reported": end.time_reported,
        "stop_receive_time": end.receive_time,
        "meter_stop": end.meter_stop,
        "stop_reason": end.reason,
        "stop_id_tag": end.id_tag,
        "stop_authorization_status": info.status.value if info else None,
        "stop_id_tag_expire_time": info.expire_time if info else None,
        "stop_parent_id_tag": info.parent if info else None,
        "stop_repairs": list(receipt.repairs) if receipt else None,
        "stop_raw_frame": (receipt.raw_frame or None) if receipt else None,
        "stop_source": end.source.value,
        "stop_comment": end.comment or None,
        "closed_by": end.closed_by or None,
        "review_time": end.receive_time,
        "flags": list(session.flags),
        "meter_start_read": session.meter_start if _has_no_register(session.flags) else None,
    }


def start_info(row: Row) -> IdTagInfo:
    """Return what the charge point was told about the tag of the start."""
    return IdTagInfo(
        AuthorizationStatus(row["authorization_status"]),
        row["id_tag_expire_time"],
        row["parent_id_tag"],
    )


def to_session(row: Row) -> Session:
    """Return the session of a row."""
    return Session(
        id=row["session_id"],
        transaction_id=row["transaction_id"],
        charge_point_id=row["charge_point_id"],
        connector_id=row["connector_id"],
        id_tag=row["id_tag"],
        id_tag_info=start_info(row),
        start_time=row["start_time"],
        start_time_reported=row["start_time_reported"],
        start_receive_time=row["start_receive_time"],
        meter_start=_meter_start(row),
        reservation_id=row["reservation_id"],
        create_time=row["create_time"],
        flags=tuple(row["flags"]),
        end=_end(row) if row["stop_receive_time"] else None,
    )


def entry_row(entry: QuarantineEntry) -> dict[str, object]:
    """Return the row of a quarantine entry."""
    return {
        "entry_id": entry.id,
        "charge_point_id": entry.charge_point_id,
        "action": entry.action,
        "reason": entry.reason.value,
        "detail": entry.detail,
        "raw_text": entry.raw_text,
        "receive_time": entry.receive_time,
        "digest": entry.digest,
    }


def resolution_row(resolution: Resolution) -> dict[str, object]:
    """Return what changes in the row of an entry when it is resolved."""
    return {
        "resolve_time": resolution.time,
        "resolution": resolution.comment,
        "resolved_by": resolution.resolved_by,
        "session_id": resolution.session_id,
    }


def to_entry(row: Row) -> QuarantineEntry:
    """Return the quarantine entry of a row."""
    return QuarantineEntry(
        id=row["entry_id"],
        charge_point_id=row["charge_point_id"],
        action=row["action"],
        reason=QuarantineReason(row["reason"]),
        detail=row["detail"],
        raw_text=row["raw_text"],
        receive_time=row["receive_time"],
        digest=row["digest"],
        resolution=_resolution(row),
    )


def _meter_start(row: Row) -> int | None:
    """Return the register that the start told, else the first that was read when it ended."""
    meter_start: int | None = row[
        "meter_start_read" if _has_no_register(row["flags"]) else "meter_start"
    ]
    return meter_start


def _has_no_register(flags: Sequence[str]) -> bool:
    return Flag.METER_START_UNKNOWN in flags


def _resolution(row: Row) -> Resolution | None:
    if row["resolve_time"] is None:
        return None
    return Resolution(
        row["resolve_time"], row["resolution"] or "", row["resolved_by"] or "", row["session_id"]
    )


def _end(row: Row) -> End:
    return End(
        time=row["stop_time"],
        time_reported=row["stop_time_reported"],
        receive_time=row["stop_receive_time"],
        meter_stop=row["meter_stop"],
        reason=row["stop_reason"],
        id_tag=row["stop_id_tag"],
        id_tag_info=_stop_info(row),
        source=Source(row["stop_source"] or Source.STATION),
        comment=row["stop_comment"] or "",
        closed_by=row["closed_by"] or "",
        meter_stop_reported=Flag.METER_STOP_UNKNOWN not in row["flags"],
    )


def _stop_info(row: Row) -> IdTagInfo | None:
    if row["stop_authorization_status"] is None:
        return None
    return IdTagInfo(
        AuthorizationStatus(row["stop_authorization_status"]),
        row["stop_id_tag_expire_time"],
        row["stop_parent_id_tag"],
    )
