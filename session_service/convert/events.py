"""Between what happens to sessions and the messages that tell of it."""

from csms.v1 import session_service_pb2 as pb
from servicekit.outbox.cursor import Cursor
from servicekit.parsing import Parsing
from servicekit.timestamps import to_timestamp
from session_service.convert.names import charge_point_id
from session_service.domain.events import Change, News

_TYPE = {
    Change.STARTED: pb.SessionEvent.TYPE_SESSION_STARTED,
    Change.ENDED: pb.SessionEvent.TYPE_SESSION_ENDED,
    Change.CHANGED: pb.SessionEvent.TYPE_SESSION_CHANGED,
}


def watch_request(request: pb.WatchSessionsRequest) -> tuple[Cursor | None, str | None]:
    """Parse from where to watch which sessions."""
    with Parsing() as field:
        cursor = field("cursor", _cursor, request.cursor)
        wanted = field("charge_point", charge_point_id, request.charge_point)
    return cursor, wanted


def to_event(news: News) -> pb.SessionEvent:
    """Return what a watcher is told."""
    if news.event is None:
        return pb.SessionEvent(cursor=news.cursor, type=pb.SessionEvent.TYPE_CURSOR)
    return pb.SessionEvent(
        cursor=news.cursor,
        type=_TYPE[news.event.change],
        session=pb.Session.FromString(news.event.snapshot),
        event_time=to_timestamp(news.event.time),
    )


def _cursor(text: str) -> Cursor | None:
    return Cursor.parse(text) if text else None
