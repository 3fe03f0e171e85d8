"""IdTagService and AuthorizationService over real gRPC and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from auth_service.config import Config
from auth_service.wiring import build
from csms.gateway.v1 import authorization_pb2, authorization_pb2_grpc
from csms.ocpp.v16 import types_pb2
from csms.v1 import id_tag_service_pb2 as pb
from csms.v1 import id_tag_service_pb2_grpc as pb_grpc
from servicekit.timestamps import to_timestamp
from tests.support.errors import failure
from tests.support.pages import every_page
from tests.support.services import NO_TRACING, free_address, serving


@pytest.fixture
async def channel(database_url: str) -> AsyncIterator[grpc.aio.Channel]:
    config = Config(listen=free_address(), database_url=database_url)
    async with serving(build(config, NO_TRACING), config.listen) as channel:
        yield channel


@pytest.fixture
def id_tags(channel: grpc.aio.Channel) -> pb_grpc.IdTagServiceAsyncStub:
    return pb_grpc.IdTagServiceStub(channel)


async def create(id_tags: pb_grpc.IdTagServiceAsyncStub, text: str, **values: Any) -> pb.IdTag:
    return await id_tags.CreateIdTag(
        pb.CreateIdTagRequest(id_tag_id=text, id_tag=pb.IdTag(**values))
    )


async def check(channel: grpc.aio.Channel, text: str) -> authorization_pb2.CheckIdTagResponse:
    stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
    return await stub.CheckIdTag(authorization_pb2.CheckIdTagRequest(id_tag=text))


async def test_created_tag_is_read_back(id_tags: pb_grpc.IdTagServiceAsyncStub) -> None:
    created = await create(id_tags, "CARD-1", display_name="Ada's card", max_active_transactions=2)
    read = await id_tags.GetIdTag(pb.GetIdTagRequest(name="idTags/CARD-1"))
    assert read == created
    assert (read.display_name, read.max_active_transactions) == ("Ada's card", 2)


async def test_text_is_compared_without_case(id_tags: pb_grpc.IdTagServiceAsyncStub) -> None:
    await create(id_tags, "AbC")
    assert (await id_tags.GetIdTag(pb.GetIdTagRequest(name="idTags/aBc"))).name == "idTags/AbC"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await create(id_tags, "abc")
    assert failure(raised).reason == "ID_TAG_ALREADY_EXISTS"


async def test_every_violation_is_reported_at_once(
    id_tags: pb_grpc.IdTagServiceAsyncStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await create(id_tags, "x" * 21, parent="tags/1", max_active_transactions=-1)
    refused = failure(raised)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "INVALID_REQUEST"
    assert set(refused.fields) == {
        "id_tag_id",
        "id_tag.parent",
        "id_tag.max_active_transactions",
    }


async def test_pages_go_from_newest_to_oldest(id_tags: pb_grpc.IdTagServiceAsyncStub) -> None:
    for number in range(5):
        await create(id_tags, f"TAG-{number}")
    pages = await every_page(id_tags.ListIdTags, pb.ListIdTagsRequest(page_size=2))
    assert [page.total_size for page in pages] == [5, 5, 5]
    names = [tag.name for page in pages for tag in page.id_tags]
    assert names == [f"idTags/TAG-{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("token", ["nonsense", "AAAA", "Ww", "é", "W10"])
async def test_foreign_page_token_is_refused(
    id_tags: pb_grpc.IdTagServiceAsyncStub, token: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await id_tags.ListIdTags(pb.ListIdTagsRequest(page_token=token))
    assert failure(raised).reason == "INVALID_PAGE_TOKEN"


async def test_page_token_is_bound_to_its_filters(
    id_tags: pb_grpc.IdTagServiceAsyncStub,
) -> None:
    for text in ("GROUP", "A", "B"):
        await create(id_tags, text)
    page = await id_tags.ListIdTags(pb.ListIdTagsRequest(page_size=1))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await id_tags.ListIdTags(
            pb.ListIdTagsRequest(page_token=page.next_page_token, parent="idTags/GROUP")
        )
    assert failure(raised).reason == "INVALID_PAGE_TOKEN"


async def test_update_changes_what_the_mask_names(
    id_tags: pb_grpc.IdTagServiceAsyncStub,
) -> None:
    await create(id_tags, "TAG", display_name="old", blocked=True)
    updated = await id_tags.UpdateIdTag(
        pb.UpdateIdTagRequest(
            id_tag=pb.IdTag(name="idTags/TAG", display_name="ignored"),
            update_mask=FieldMask(paths=["blocked"]),
        )
    )
    assert (updated.display_name, updated.blocked) == ("old", False)


async def test_update_of_a_stale_version_is_aborted(
    id_tags: pb_grpc.IdTagServiceAsyncStub,
) -> None:
    created = await create(id_tags, "TAG")
    change = pb.IdTag(name=created.name, display_name="new", etag=created.etag)
    await id_tags.UpdateIdTag(pb.UpdateIdTagRequest(id_tag=change))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await id_tags.UpdateIdTag(pb.UpdateIdTagRequest(id_tag=change))
    assert (failure(raised).code, failure(raised).reason) == (
        grpc.StatusCode.ABORTED,
        "ETAG_MISMATCH",
    )


async def test_unknown_field_in_the_mask_is_refused(
    id_tags: pb_grpc.IdTagServiceAsyncStub,
) -> None:
    created = await create(id_tags, "TAG")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await id_tags.UpdateIdTag(
            pb.UpdateIdTagRequest(
                id_tag=pb.IdTag(name=created.name), update_mask=FieldMask(paths=["create_time"])
            )
        )
    assert failure(raised).fields == ("update_mask",)


async def test_parent_must_exist_and_stays_while_it_is_used(
    id_tags: pb_grpc.IdTagServiceAsyncStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await create(id_tags, "CHILD", parent="idTags/PARENT")
    assert failure(raised).reason == "PARENT_ID_TAG_UNUSABLE"
    await create(id_tags, "PARENT")
    await create(id_tags, "CHILD", parent="idTags/PARENT")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await id_tags.DeleteIdTag(pb.DeleteIdTagRequest(name="idTags/PARENT"))
    assert failure(raised).reason == "ID_TAG_IN_USE"


async def test_a_tag_cannot_be_its_own_ancestor(id_tags: pb_grpc.IdTagServiceAsyncStub) -> None:
    await create(id_tags, "A")
    await create(id_tags, "B", parent="idTags/A")
    for parent in ("idTags/A", "idTags/B"):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await id_tags.UpdateIdTag(
                pb.UpdateIdTagRequest(id_tag=pb.IdTag(name="idTags/A", parent=parent))
            )
        assert failure(raised).reason == "PARENT_ID_TAG_UNUSABLE"


async def test_deleted_tag_is_gone(id_tags: pb_grpc.IdTagServiceAsyncStub) -> None:
    await create(id_tags, "TAG")
    await id_tags.DeleteIdTag(pb.DeleteIdTagRequest(name="idTags/TAG"))
    for call in (
        id_tags.GetIdTag(pb.GetIdTagRequest(name="idTags/TAG")),
        id_tags.DeleteIdTag(pb.DeleteIdTagRequest(name="idTags/TAG")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert failure(raised).code is grpc.StatusCode.NOT_FOUND


async def test_tags_are_judged(
    channel: grpc.aio.Channel, id_tags: pb_grpc.IdTagServiceAsyncStub
) -> None:
    past, future = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    await create(id_tags, "GROUP")
    await create(
        id_tags,
        "GOOD",
        parent="idTags/GROUP",
        expire_time=to_timestamp(future),
        max_active_transactions=3,
    )
    await create(id_tags, "OLD", expire_time=to_timestamp(past))
    await create(id_tags, "BAD", blocked=True)
    good = await check(channel, "good")
    assert good.id_tag_info.status == types_pb2.AUTHORIZATION_STATUS_ACCEPTED
    assert good.id_tag_info.parent_id_tag == "GROUP"
    assert good.id_tag_info.expiry_date == to_timestamp(future)
    assert good.max_active_transactions == 3
    for text, status in {
        "OLD": types_pb2.AUTHORIZATION_STATUS_EXPIRED,
        "BAD": types_pb2.AUTHORIZATION_STATUS_BLOCKED,
        "NOBODY": types_pb2.AUTHORIZATION_STATUS_INVALID,
        "with\0NUL": types_pb2.AUTHORIZATION_STATUS_INVALID,
    }.items():
        assert (await check(channel, text)).id_tag_info.status == status


async def test_update_without_a_mask_changes_what_the_request_holds(
    id_tags: pb_grpc.IdTagServiceAsyncStub,
) -> None:
    await create(id_tags, "TAG", display_name="old", blocked=True, max_active_transactions=1)
    change = pb.IdTag(name="idTags/TAG", blocked=False, max_active_transactions=0)
    updated = await id_tags.UpdateIdTag(pb.UpdateIdTagRequest(id_tag=change))
    assert (updated.blocked, updated.max_active_transactions) == (False, 0)
    assert updated.display_name == "old"
