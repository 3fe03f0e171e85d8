"""CommandService over real gRPC and PostgreSQL; commands are delivered by the test."""

import asyncio
import uuid
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from csms.ocpp.v16 import core_pb2
from csms.v1 import charge_point_service_pb2 as charge_point_pb
from csms.v1 import command_service_pb2 as pb
from tests.fakes.deliverer import Deliverer
from tests.integration.device_service.commands import (
    Operator,
    id_of,
    remote_start,
    remote_stop,
    reset,
)
from tests.integration.device_service.conftest import StartPlatform
from tests.support.errors import RpcFailure, failure
from tests.support.waiting import eventually

SESSION = "sessions/0190a7c2-0000-7000-8000-000000000001"


async def claimed(deliverer: Deliverer) -> str:
    delivery = await deliverer.claim("CP-1")
    assert delivery is not None
    return delivery.command_id


async def test_created_command_is_pending_and_read_back(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    assert created == await operator.get(created.name)
    assert created.name.startswith("chargePoints/CP-1/commands/")
    assert created.state == pb.Command.STATE_PENDING
    assert created.reset == core_pb2.ResetRequest(type=core_pb2.RESET_TYPE_SOFT)
    assert created.requester == "operator"
    assert created.expire_time.seconds == created.create_time.seconds + 60
    assert created.answer_timeout.seconds == 60
    assert not created.HasField("send_time")


async def test_answered_command_tells_each_step(operator: Operator, deliverer: Deliverer) -> None:
    created = await operator.create()
    operator.platform.clock.move(seconds=1)
    delivery = await deliverer.claim("CP-1")
    assert delivery is not None
    assert delivery.command_id == id_of(created)
    assert (delivery.charge_point_id, delivery.connection_id) == ("CP-1", "conn-1")
    await deliverer.answer(delivery.command_id)
    ended = await operator.get(created.name)
    assert ended.state == pb.Command.STATE_COMPLETED
    assert ended.response.reset.status == core_pb2.RESET_STATUS_ACCEPTED
    assert ended.send_time.seconds == created.create_time.seconds + 1
    assert ended.HasField("complete_time")


async def refused(call: Awaitable[object]) -> RpcFailure:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return failure(raised)


async def test_requester_is_named_by_the_call(operator: Operator, deliverer: Deliverer) -> None:
    created = await operator.create(requester="billing")
    assert created.requester == "billing"


async def test_unknown_charge_point_gets_no_command(operator: Operator) -> None:
    error = await refused(operator.create("CP-9"))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "CHARGE_POINT_NOT_FOUND")


async def test_charge_point_that_is_away_gets_no_command(
    operator: Operator, deliverer: Deliverer
) -> None:
    await deliverer.disconnect("CP-1")
    error = await refused(operator.create())
    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "CHARGE_POINT_OFFLINE"
    assert await operator.names() == []


async def test_charge_point_of_a_gateway_that_is_silent_is_away(
    operator: Operator, deliverer: Deliverer
) -> None:
    operator.platform.clock.move(seconds=60)
    assert (await refused(operator.create())).reason == "CHARGE_POINT_OFFLINE"


async def test_command_for_later_waits_for_the_charge_point(
    operator: Operator, deliverer: Deliverer
) -> None:
    await deliverer.disconnect("CP-1")
    created = await operator.create(deliver_when_online=True, **reset())
    assert created.expire_time.seconds == created.create_time.seconds + 24 * 3600
    assert await deliverer.claim("CP-1") is None
    operator.platform.clock.move(hours=1)
    await deliverer.connect("CP-1", "conn-2")
    delivery = await deliverer.claim("CP-1", "conn-2")
    assert delivery is not None
    assert delivery.command_id == id_of(created)


async def test_too_many_pending_commands_are_refused(
    start_platform: StartPlatform, database_url: str
) -> None:
    platform = await start_platform(max_pending_commands=2)
    operator, deliverer = Operator(platform), Deliverer(database_url, platform.clock)
    await platform.create("CP-1")
    await deliverer.connect("CP-1")
    first, _ = await operator.create(), await operator.create()
    await deliverer.desk.sent(await claimed(deliverer), platform.clock.now())
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await operator.create()
    assert failure(raised).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure(raised).reason == "TOO_MANY_PENDING_COMMANDS"
    status = rpc_status.from_call(raised.value)
    assert status is not None
    assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
    await deliverer.answer(id_of(first))
    await operator.create()
    await deliverer.close()


async def test_limit_holds_for_creations_at_the_same_time(
    start_platform: StartPlatform, database_url: str
) -> None:
    platform = await start_platform(max_pending_commands=3)
    operator, deliverer = Operator(platform), Deliverer(database_url, platform.clock)
    await platform.create("CP-1")
    await deliverer.connect("CP-1")
    results = await asyncio.gather(*(operator.create() for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, pb.Command) for result in results) == 3
    await deliverer.close()


async def test_same_request_id_gives_the_same_command(
    operator: Operator, deliverer: Deliverer
) -> None:
    request_id = str(uuid.uuid4())
    created = await operator.create(request_id=request_id)
    again = await operator.create(request_id=request_id.upper())
    assert again.name == created.name
    await deliverer.answer(await claimed(deliverer))
    await deliverer.disconnect("CP-1")
    assert (await operator.create(request_id=request_id)).state == pb.Command.STATE_COMPLETED
    assert await operator.names() == [created.name]


async def test_same_request_id_at_the_same_time_gives_one_command(
    operator: Operator, deliverer: Deliverer
) -> None:
    request_id = str(uuid.uuid4())
    created = await asyncio.gather(*(operator.create(request_id=request_id) for _ in range(5)))
    assert len({command.name for command in created}) == 1


async def test_request_id_of_another_request_is_refused(
    operator: Operator, deliverer: Deliverer
) -> None:
    request_id = str(uuid.uuid4())
    await operator.create(request_id=request_id)
    for values in (remote_start(), {**reset(), "deliver_when_online": True}):
        error = await refused(operator.create(request_id=request_id, **values))
        assert error.code is grpc.StatusCode.FAILED_PRECONDITION
        assert error.reason == "REQUEST_ID_REUSED"


async def test_request_id_belongs_to_one_charge_point(
    operator: Operator, deliverer: Deliverer
) -> None:
    await operator.platform.create("CP-2")
    await deliverer.connect("CP-2")
    request_id = str(uuid.uuid4())
    first, second = [await operator.create(key, request_id=request_id) for key in ("CP-1", "CP-2")]
    assert first.name != second.name


async def test_request_id_is_forgotten_after_a_day(
    operator: Operator, deliverer: Deliverer
) -> None:
    request_id = str(uuid.uuid4())
    first = await operator.create(request_id=request_id)
    operator.platform.clock.move(hours=23)
    await deliverer.connect("CP-1", "conn-2")
    assert (await operator.create(request_id=request_id)).name == first.name
    operator.platform.clock.move(hours=1)
    await deliverer.connect("CP-1", "conn-3")
    assert (await operator.create(request_id=request_id)).name != first.name


async def test_caller_waits_for_the_answer(operator: Operator, deliverer: Deliverer) -> None:
    waiting = asyncio.create_task(operator.create(wait_s=30))
    await eventually(lambda: is_listed(operator))
    await deliverer.answer(await claimed(deliverer))
    assert (await waiting).state == pb.Command.STATE_COMPLETED


async def test_caller_gets_the_command_as_it_is_when_the_time_is_over(
    operator: Operator, deliverer: Deliverer
) -> None:
    earlier = asyncio.create_task(asyncio.sleep(0.9))
    created = await operator.create(wait_s=1)
    assert earlier.done()
    assert created.state == pb.Command.STATE_PENDING
    later = asyncio.create_task(operator.get(created.name, wait_s=30))
    assert (await operator.get(created.name, wait_s=1)).state == pb.Command.STATE_PENDING
    assert not later.done()
    await operator.cancel(created.name)
    await later


async def test_get_waits_for_a_cancellation(operator: Operator, deliverer: Deliverer) -> None:
    created = await operator.create()
    waiting = asyncio.create_task(operator.get(created.name, wait_s=30))
    await operator.cancel(created.name)
    assert (await waiting).state == pb.Command.STATE_CANCELLED


@pytest.mark.parametrize("name", ["chargePoints/CP-1/commands/{}", "chargePoints/CP-2/commands/{}"])
async def test_unknown_command_is_not_found(
    operator: Operator, deliverer: Deliverer, name: str
) -> None:
    created = await operator.create()
    known = "CP-2" in name  # a command is found under its own charge point only
    wanted = name.format(id_of(created) if known else uuid.uuid4())
    watch = operator.stub.WatchCommand(pb.WatchCommandRequest(name=wanted))
    for call in (operator.get(wanted), operator.cancel(wanted), anext(aiter(watch))):
        error = await refused(call)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "COMMAND_NOT_FOUND")


async def test_cancelled_command_is_not_delivered(operator: Operator, deliverer: Deliverer) -> None:
    created = await operator.create()
    cancelled = await operator.cancel(created.name)
    assert cancelled.state == pb.Command.STATE_CANCELLED
    assert cancelled.HasField("complete_time")
    assert await operator.cancel(created.name) == cancelled
    assert await deliverer.claim("CP-1") is None


async def test_command_that_is_handed_out_cannot_be_cancelled(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    command_id = await claimed(deliverer)
    for step in (None, deliverer.answer(command_id)):
        if step is not None:
            await step
        error = await refused(operator.cancel(created.name))
        assert error.code is grpc.StatusCode.FAILED_PRECONDITION
        assert error.reason == "COMMAND_NOT_PENDING"


async def test_cancelling_and_handing_out_at_the_same_time_has_one_winner(
    operator: Operator, deliverer: Deliverer
) -> None:
    for _ in range(10):
        created = await operator.create()
        cancelled, delivery = await asyncio.gather(
            operator.cancel(created.name), deliverer.claim("CP-1"), return_exceptions=True
        )
        assert isinstance(cancelled, pb.Command) is (delivery is None)
        if not isinstance(cancelled, pb.Command):
            await deliverer.answer(id_of(created))


async def test_list_is_newest_first_in_pages(operator: Operator, deliverer: Deliverer) -> None:
    created = []
    for _ in range(5):
        created.append((await operator.create()).name)
        operator.platform.clock.move(seconds=1)
    assert await operator.names("chargePoints/CP-1") == created[::-1]
    request = pb.ListCommandsRequest(parent="chargePoints/CP-1", page_size=3)
    first = await operator.stub.ListCommands(request)
    assert first.total_size == 5
    request.page_token = first.next_page_token
    second = await operator.stub.ListCommands(request)
    assert [item.name for item in [*first.commands, *second.commands]] == created[::-1]
    assert second.next_page_token == ""


async def test_list_is_filtered_by_charge_point_and_state(
    operator: Operator, deliverer: Deliverer
) -> None:
    await operator.platform.create("CP-2")
    await deliverer.connect("CP-2")
    first, second = await operator.create("CP-1"), await operator.create("CP-2")
    await operator.cancel(first.name)
    cancelled = pb.Command.STATE_CANCELLED
    assert await operator.names(state=cancelled) == [first.name]
    assert await operator.names("chargePoints/CP-2") == [second.name]
    assert await operator.names("chargePoints/CP-2", state=cancelled) == []
    assert (await refused(operator.names("chargePoints/CP-9"))).reason == "CHARGE_POINT_NOT_FOUND"


async def test_list_refuses_what_it_does_not_understand(operator: Operator) -> None:
    error = await refused(operator.names("nothing", page_size=-1, state=99))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(error.fields) == {"parent", "page_size", "state"}
    assert (await refused(operator.names(page_token="bm8"))).reason == "INVALID_PAGE_TOKEN"


async def test_watch_tells_every_step_until_the_end(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    watch = aiter(operator.stub.WatchCommand(pb.WatchCommandRequest(name=created.name)))
    assert (await anext(watch)).state == pb.Command.STATE_PENDING
    command_id = await claimed(deliverer)
    await deliverer.desk.sent(command_id, operator.platform.clock.now())
    assert (await anext(watch)).state == pb.Command.STATE_SENT
    await deliverer.answer(command_id)
    assert (await anext(watch)).state == pb.Command.STATE_COMPLETED
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_command_that_was_not_sent_in_time_expires(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    watch = aiter(operator.stub.WatchCommand(pb.WatchCommandRequest(name=created.name)))
    await anext(watch)
    operator.platform.clock.move(seconds=61)
    assert await deliverer.claim("CP-1") is None
    assert (await anext(watch)).state == pb.Command.STATE_EXPIRED


async def test_deleting_a_charge_point_deletes_its_commands(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    request = charge_point_pb.DeleteChargePointRequest(name="chargePoints/CP-1")
    await operator.platform.charge_points.DeleteChargePoint(request)
    assert (await refused(operator.get(created.name))).reason == "COMMAND_NOT_FOUND"


async def is_listed(operator: Operator) -> bool:
    return bool(await operator.names())


async def test_remote_stop_names_its_session(operator: Operator, deliverer: Deliverer) -> None:
    request_id = str(uuid.uuid4())
    created = await operator.create(request_id=request_id, **remote_stop(), session=SESSION)
    assert created.session == SESSION
    assert (await operator.get(created.name)).session == SESSION
    repeated = await operator.create(request_id=request_id, **remote_stop(), session=SESSION)
    assert repeated.name == created.name
    error = await refused(operator.create(request_id=request_id, **remote_stop()))
    assert error.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    "values",
    [
        {**remote_stop(), "session": "sessions/42"},
        {**remote_stop(), "session": SESSION.removeprefix("sessions/")},
        {**remote_start(), "session": SESSION},
        {**reset(), "session": SESSION},
    ],
)
async def test_session_is_a_name_and_for_a_remote_stop_alone(
    operator: Operator, deliverer: Deliverer, values: dict[str, Any]
) -> None:
    error = await refused(operator.create(**values))
    assert (error.reason, error.fields) == ("INVALID_REQUEST", ("command.session",))
