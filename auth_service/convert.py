"""Between the API's messages and the domain; the only place that knows both vocabularies."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from auth_service.domain import (
    Authorization,
    AuthorizationStatus,
    IdTag,
    IdTagText,
    active_limit,
    display_name,
    id_tag_text,
)
from csms.gateway.v1 import authorization_pb2
from csms.ocpp.v16 import types_pb2
from csms.v1 import id_tag_service_pb2 as pb
from servicekit.field_mask import fields_to_change
from servicekit.pagination import Page, PageRequest, page_request, page_size
from servicekit.parsing import Parsing
from servicekit.resource_names import resource_id
from servicekit.timestamps import to_datetime, to_timestamp

COLLECTION = "idTags"
_MUTABLE = ("parent", "expire_time", "blocked", "max_active_transactions", "display_name")

_STATUS = {
    AuthorizationStatus.ACCEPTED: types_pb2.AUTHORIZATION_STATUS_ACCEPTED,
    AuthorizationStatus.BLOCKED: types_pb2.AUTHORIZATION_STATUS_BLOCKED,
    AuthorizationStatus.EXPIRED: types_pb2.AUTHORIZATION_STATUS_EXPIRED,
    AuthorizationStatus.INVALID: types_pb2.AUTHORIZATION_STATUS_INVALID,
}


def id_tag_name(value: str) -> IdTagText:
    """Parse `idTags/{id_tag}`.

    Raises:
        ValueError: It has another shape.
    """
    return id_tag_text(resource_id(value, COLLECTION))


def named(request: pb.GetIdTagRequest | pb.DeleteIdTagRequest) -> IdTagText:
    """Parse a request that only names a tag."""
    with Parsing() as field:
        return field("name", id_tag_name, request.name)


def list_request(request: pb.ListIdTagsRequest) -> tuple[PageRequest, IdTagText | None]:
    """Parse which page of which group is asked for."""
    with Parsing() as field:
        size = field("page_size", page_size, request.page_size)
        parent = field("parent", id_tag_name, request.parent) if request.parent else None
    return page_request(size, request.page_token, "idTags", parent), parent


def create_request(request: pb.CreateIdTagRequest) -> tuple[IdTagText, Mapping[str, Any]]:
    """Parse the text and the attributes of a new tag."""
    with Parsing() as field:
        text = field("id_tag_id", id_tag_text, request.id_tag_id)
        values = {name: _attribute(field, request.id_tag, name) for name in _MUTABLE}
    return text, values


def update_request(request: pb.UpdateIdTagRequest) -> tuple[IdTagText, Mapping[str, Any], str]:
    """Parse which tag is to change, how, and from which version."""
    with Parsing() as field:
        text = field("id_tag.name", id_tag_name, request.id_tag.name)
        mask = request.update_mask if request.HasField("update_mask") else None
        names = fields_to_change(field, request.id_tag, mask, _MUTABLE)
        changes = {name: _attribute(field, request.id_tag, name) for name in names}
    return text, changes, request.id_tag.etag


def to_message(tag: IdTag) -> pb.IdTag:
    """Return the tag as operators see it."""
    return pb.IdTag(
        name=f"{COLLECTION}/{tag.text}",
        parent=f"{COLLECTION}/{tag.parent}" if tag.parent else None,
        expire_time=to_timestamp(tag.expire_time),
        blocked=tag.blocked,
        max_active_transactions=tag.max_active_transactions,
        display_name=tag.display_name,
        create_time=to_timestamp(tag.create_time),
        update_time=to_timestamp(tag.update_time),
        etag=tag.etag,
    )


def to_list_response(page: Page[IdTag]) -> pb.ListIdTagsResponse:
    """Return a page as operators see it."""
    return pb.ListIdTagsResponse(
        id_tags=[to_message(tag) for tag in page.rows],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
    )


def to_id_tag_info(authorization: Authorization) -> types_pb2.IdTagInfo:
    """Return what a charge point is told about a tag (IdTagInfo, OCPP 1.6 7.27)."""
    return types_pb2.IdTagInfo(
        expiry_date=to_timestamp(authorization.expire_time),
        parent_id_tag=authorization.parent,
        status=_STATUS[authorization.status],
    )


def to_check_response(authorization: Authorization) -> authorization_pb2.CheckIdTagResponse:
    """Return what another service is told about a tag."""
    return authorization_pb2.CheckIdTagResponse(
        id_tag_info=to_id_tag_info(authorization),
        max_active_transactions=authorization.max_active_transactions,
    )


def _attribute(field: Parsing, tag: pb.IdTag, name: str) -> object:
    return field(f"id_tag.{name}", _PARSERS[name], tag)


def _parent(tag: pb.IdTag) -> IdTagText | None:
    return id_tag_name(tag.parent) if tag.parent else None


def _expire_time(tag: pb.IdTag) -> datetime | None:
    return to_datetime(tag.expire_time) if tag.HasField("expire_time") else None


_PARSERS: dict[str, Callable[[pb.IdTag], object]] = {
    "parent": _parent,
    "expire_time": _expire_time,
    "blocked": lambda tag: tag.blocked,
    "max_active_transactions": lambda tag: active_limit(tag.max_active_transactions),
    "display_name": lambda tag: display_name(tag.display_name),
}
