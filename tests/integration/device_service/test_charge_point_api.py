"""ChargePointService over real gRPC and PostgreSQL."""

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from csms.v1 import charge_point_service_pb2 as pb
from tests.fakes.linked_gateway import LinkedGateway
from tests.integration.device_service.gateway import (
    Caller,
    Platform,
    a_boot,
    a_status,
    ask,
    exchange,
)
from tests.support.errors import failure
from tests.support.pages import every_page


async def update(platform: Platform, identity: str, mask: list[str] | None, **values: Any) -> Any:
    return await platform.charge_points.UpdateChargePoint(
        pb.UpdateChargePointRequest(
            charge_point=pb.ChargePoint(name=f"chargePoints/{identity}", **values),
            update_mask=None if mask is None else FieldMask(paths=mask),
        )
    )


async def names(platform: Platform, **filters: Any) -> list[str]:
    request = pb.ListChargePointsRequest(**filters)
    page = await platform.charge_points.ListChargePoints(request)
    return [item.name for item in page.charge_points]


async def test_created_charge_point_is_accepted_and_read_back(platform: Platform) -> None:
    created = await platform.create(
        "Cp 1", display_name="Garage", heartbeat_interval=Duration(seconds=60)
    )
    assert created == await platform.get("Cp 1")
    assert created.name == "chargePoints/Cp 1"
    assert created.state == pb.ChargePoint.STATE_ACCEPTED
    assert (created.display_name, created.heartbeat_interval.seconds) == ("Garage", 60)
    assert created.create_time.ToDatetime() == platform.clock.now().replace(tzinfo=None)
    assert not created.HasField("last_seen_time")
    assert not created.online


async def test_identities_differ_by_case(platform: Platform) -> None:
    await platform.create("cp-1")
    await platform.create("CP-1")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.create("CP-1")
    refused = failure(raised)
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "CHARGE_POINT_ALREADY_EXISTS"


async def test_every_violation_of_a_creation_is_reported_at_once(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.create("a/b", display_name="\n", heartbeat_interval=Duration(seconds=9))
    refused = failure(raised)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
    )
    assert set(refused.fields) == {
        "charge_point_id",
        "charge_point.display_name",
        "charge_point.heartbeat_interval",
    }


async def test_fraction_of_a_second_is_no_heartbeat_interval(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.create("CP-1", heartbeat_interval=Duration(seconds=10, nanos=1))
    assert failure(raised).fields == ("charge_point.heartbeat_interval",)


async def test_pages_go_from_newest_to_oldest(platform: Platform) -> None:
    for number in range(5):
        platform.clock.move(seconds=number % 2)  # some are of the same moment
        await platform.create(f"CP-{number}")
    request = pb.ListChargePointsRequest(page_size=2)
    pages = await every_page(platform.charge_points.ListChargePoints, request)
    assert [page.total_size for page in pages] == [5, 5, 5]
    found = [item.name for page in pages for item in page.charge_points]
    assert found == [f"chargePoints/CP-{number}" for number in (4, 3, 2, 1, 0)]


async def test_list_keeps_one_state(platform: Platform) -> None:
    for identity in ("A", "B", "C"):
        await platform.create(identity)
    await platform.charge_points.RejectChargePoint(
        pb.RejectChargePointRequest(name="chargePoints/B")
    )
    assert await names(platform, state=pb.ChargePoint.STATE_REJECTED) == ["chargePoints/B"]
    assert await names(platform, state=pb.ChargePoint.STATE_ACCEPTED) == [
        "chargePoints/C",
        "chargePoints/A",
    ]
    assert await names(platform, state=pb.ChargePoint.STATE_PENDING) == []


async def test_unknown_state_and_negative_page_size_are_refused_together(
    platform: Platform,
) -> None:
    request = pb.ListChargePointsRequest(page_size=-1)
    request.MergeFromString(b"\x18\x63")  # state = 99
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.charge_points.ListChargePoints(request)
    assert set(failure(raised).fields) == {"page_size", "state"}


@pytest.mark.parametrize("token", ["nonsense", "AAAA", "Ww", "é"])
async def test_foreign_page_token_is_refused(platform: Platform, token: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await names(platform, page_token=token)
    assert failure(raised).reason == "INVALID_PAGE_TOKEN"


async def test_page_token_is_bound_to_its_filters(platform: Platform) -> None:
    for identity in ("A", "B"):
        await platform.create(identity)
    page = await platform.charge_points.ListChargePoints(pb.ListChargePointsRequest(page_size=1))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await names(platform, page_token=page.next_page_token, online=False)
    assert failure(raised).reason == "INVALID_PAGE_TOKEN"


async def test_update_changes_what_the_mask_names(platform: Platform) -> None:
    created = await platform.create("CP-1", display_name="old", subprotocol_optional=True)
    platform.clock.move(minutes=1)
    updated = await update(platform, "CP-1", ["subprotocol_optional"], display_name="ignored")
    assert (updated.display_name, updated.subprotocol_optional) == ("old", False)
    assert updated.update_time.seconds == created.update_time.seconds + 60
    assert updated.etag != created.etag


async def test_update_without_mask_changes_what_is_set(platform: Platform) -> None:
    await platform.create("CP-1", display_name="old", heartbeat_interval=Duration(seconds=60))
    updated = await update(platform, "CP-1", None, display_name="new")
    assert (updated.display_name, updated.heartbeat_interval.seconds) == ("new", 60)


async def test_update_without_mask_takes_false_for_a_value(platform: Platform) -> None:
    await platform.create("CP-1", display_name="old", subprotocol_optional=True)
    updated = await update(platform, "CP-1", None, display_name="", subprotocol_optional=False)
    assert (updated.display_name, updated.subprotocol_optional) == ("", False)


async def test_update_of_everything_takes_back_what_is_not_given(platform: Platform) -> None:
    await platform.create("CP-1", display_name="old", heartbeat_interval=Duration(seconds=60))
    updated = await update(platform, "CP-1", ["*"])
    assert updated.display_name == ""
    assert not updated.HasField("heartbeat_interval")


async def test_update_reports_every_violation(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await update(
            platform,
            "",
            ["state", "vendor", "heartbeat_interval"],
            heartbeat_interval=Duration(seconds=86_401),
        )
    assert sorted(failure(raised).fields) == [
        "charge_point.heartbeat_interval",
        "charge_point.name",
        "update_mask",
        "update_mask",
    ]


async def test_update_of_a_stale_version_is_aborted(platform: Platform) -> None:
    created = await platform.create("CP-1")
    await update(platform, "CP-1", None, display_name="first", etag=created.etag)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await update(platform, "CP-1", None, display_name="second", etag=created.etag)
    assert (failure(raised).code, failure(raised).reason) == (
        grpc.StatusCode.ABORTED,
        "ETAG_MISMATCH",
    )
    assert (await platform.get("CP-1")).display_name == "first"


async def test_what_a_charge_point_says_changes_no_etag(platform: Platform) -> None:
    created = await platform.create("CP-1")
    caller = Caller(platform.clock)
    platform.clock.move(minutes=1)
    gateway = LinkedGateway(platform.clock)
    gateway.connect("CP-1")
    await gateway.link(platform.channel)
    await exchange(platform, caller.request(a_boot()), caller.request(a_status()))
    read = await platform.get("CP-1")
    assert read.vendor == "Vendor"
    assert (read.etag, read.update_time) == (created.etag, created.update_time)


async def test_verbs_change_the_state_once(platform: Platform) -> None:
    created = await platform.create("CP-1")
    accept = pb.AcceptChargePointRequest(name="chargePoints/CP-1")
    assert await platform.charge_points.AcceptChargePoint(accept) == created
    reject = pb.RejectChargePointRequest(name="chargePoints/CP-1")
    rejected = await platform.charge_points.RejectChargePoint(reject)
    assert rejected.state == pb.ChargePoint.STATE_REJECTED
    assert rejected.etag != created.etag
    accepted = await platform.charge_points.AcceptChargePoint(accept)
    assert accepted.state == pb.ChargePoint.STATE_ACCEPTED


async def test_deleted_charge_point_leaves_nothing(platform: Platform) -> None:
    await platform.create("CP-1")
    await platform.create("CP-2")
    for identity in ("CP-1", "CP-2"):
        caller = Caller(platform.clock, identity)
        await ask(platform, caller.request(a_status(), repairs=["rule"]))
    await platform.charge_points.DeleteChargePoint(
        pb.DeleteChargePointRequest(name="chargePoints/CP-1")
    )
    assert await names(platform) == ["chargePoints/CP-2"]
    connectors = await platform.charge_points.ListConnectors(
        pb.ListConnectorsRequest(parent="chargePoints/-")
    )
    assert [item.name for item in connectors.connectors] == ["chargePoints/CP-2/connectors/1"]
    assert [item.name.split("/")[1] for item in await platform.notices("-")] == ["CP-2"]


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("GetChargePoint", pb.GetChargePointRequest),
        ("DeleteChargePoint", pb.DeleteChargePointRequest),
        ("AcceptChargePoint", pb.AcceptChargePointRequest),
        ("RejectChargePoint", pb.RejectChargePointRequest),
    ],
)
async def test_what_is_not_there_is_not_found(
    platform: Platform, method: str, request_type: Any
) -> None:
    call = getattr(platform.charge_points, method)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(request_type(name="chargePoints/none"))
    assert (failure(raised).code, failure(raised).reason) == (
        grpc.StatusCode.NOT_FOUND,
        "CHARGE_POINT_NOT_FOUND",
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(request_type(name="chargePoints/-"))
    assert failure(raised).fields == ("name",)


async def test_update_of_what_is_not_there_is_not_found(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await update(platform, "none", None, display_name="x")
    assert failure(raised).reason == "CHARGE_POINT_NOT_FOUND"


async def test_connectors_are_listed_by_charge_point_and_number(platform: Platform) -> None:
    for identity in ("B", "a", "A"):
        await platform.create(identity)
        caller = Caller(platform.clock, identity)
        await exchange(
            platform, *(caller.request(a_status(connector_id=number)) for number in (10, 2, 0))
        )
    request = pb.ListConnectorsRequest(parent="chargePoints/-", page_size=2)
    pages = await every_page(platform.charge_points.ListConnectors, request)
    assert [page.total_size for page in pages] == [9] * 5
    found = [item.name for page in pages for item in page.connectors]
    assert found == [
        f"chargePoints/{identity}/connectors/{number}"
        for identity in ("A", "B", "a")
        for number in (0, 2, 10)
    ]
    of_one = await platform.charge_points.ListConnectors(
        pb.ListConnectorsRequest(parent="chargePoints/a")
    )
    assert [item.connector_id for item in of_one.connectors] == [0, 2, 10]


async def test_children_of_an_unknown_charge_point_are_not_found(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.charge_points.ListConnectors(
            pb.ListConnectorsRequest(parent="chargePoints/none")
        )
    assert failure(raised).reason == "CHARGE_POINT_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.notices("none")
    assert failure(raised).reason == "CHARGE_POINT_NOT_FOUND"


async def test_connector_that_was_never_reported_is_not_found(platform: Platform) -> None:
    await platform.create("CP-1")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.connector("CP-1", 1)
    assert (failure(raised).code, failure(raised).reason) == (
        grpc.StatusCode.NOT_FOUND,
        "CONNECTOR_NOT_FOUND",
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.connector("CP-1", -1)
    assert failure(raised).fields == ("name",)


async def test_list_of_notices_reports_every_violation(platform: Platform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await platform.charge_points.ListNotices(
            pb.ListNoticesRequest(parent="idTags/1", page_size=-1, action="Data Transfer")
        )
    assert set(failure(raised).fields) == {"parent", "page_size", "action"}
