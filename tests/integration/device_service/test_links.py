"""The links of gateways over real gRPC and PostgreSQL: what goes down, what comes up."""

import grpc
import pytest

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.gateway.v1 import gateway_link_pb2_grpc as pb_grpc
from csms.ocpp.v16 import core_pb2
from csms.v1 import command_service_pb2 as command_pb
from tests.fakes.deliverer import Deliverer
from tests.fakes.linked_gateway import LinkedGateway
from tests.integration.device_service.commands import Operator, id_of, reset
from tests.integration.device_service.conftest import StartPlatform
from tests.integration.device_service.gateway import Platform
from tests.support.errors import failure
from tests.support.waiting import eventually, until


@pytest.fixture
def gateway(platform: Platform) -> LinkedGateway:
    return LinkedGateway(platform.clock)


async def comes_online(platform: Platform, identity: str = "CP-1") -> None:
    async def online() -> bool:
        return (await platform.get(identity)).online

    await eventually(online)


async def ends(operator: Operator, command: command_pb.Command) -> command_pb.Command:
    return await operator.get(command.name, wait_s=15)


async def test_link_has_to_begin_with_hello(platform: Platform) -> None:
    stream = pb_grpc.GatewayLinkServiceStub(platform.channel).Connect()
    await stream.write(pb.ConnectRequest(heartbeat=pb.LinkHeartbeat()))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stream.read()
    assert failure(raised).code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure(raised).fields == ("hello",)


async def test_welcome_tells_the_terms(platform: Platform, gateway: LinkedGateway) -> None:
    first = await gateway.link(platform.channel)
    assert first.welcome.heartbeat_interval.seconds == 3
    assert first.welcome.max_in_flight == 1000
    assert first.welcome.replica_id
    await first.leave()
    second = await gateway.link(platform.channel)
    assert second.welcome.epoch == first.welcome.epoch + 1


async def test_command_goes_down_and_its_answer_comes_up(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    link = await gateway.link(platform.channel)
    await link.attach("CP-1")
    await comes_online(platform)
    created = await operator.create()
    command = await link.command()
    assert command.command_id == id_of(created)
    assert command.connection_id == gateway.connections["CP-1"]
    assert command.call.reset == created.reset
    assert command.answer_timeout.seconds == 60
    assert command.expire_time == created.expire_time
    await link.sent(command.command_id)
    await link.answer(command.command_id)
    ended = await ends(operator, created)
    assert ended.state == command_pb.Command.STATE_COMPLETED
    assert ended.response.reset.status == core_pb2.RESET_STATUS_ACCEPTED


async def test_command_that_waits_is_delivered_when_its_charge_point_comes(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    link = await gateway.link(platform.channel)
    created = await operator.create(deliver_when_online=True, **reset())
    await link.attach("CP-1")
    assert (await link.command()).command_id == id_of(created)


async def test_next_command_waits_for_the_result_of_the_one_before(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    link = await gateway.link(platform.channel)
    await link.attach("CP-1")
    await comes_online(platform)
    first, second = await operator.create(), await operator.create()
    assert (await link.command()).command_id == id_of(first)
    await link.sent(id_of(first))
    assert len(link.of("deliver_command")) == 1
    await link.answer(id_of(first))
    assert (await link.command(2)).command_id == id_of(second)


async def test_newer_link_ends_the_older(platform: Platform, gateway: LinkedGateway) -> None:
    older = await gateway.link(platform.channel)
    newer = await gateway.link(platform.channel)
    assert await older.ended() is grpc.StatusCode.ABORTED
    assert newer.code is None


async def test_commands_go_over_the_newer_link(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1")
    older = await gateway.link(platform.channel)
    newer = await gateway.link(platform.channel)
    created = await operator.create()
    assert (await newer.command()).command_id == id_of(created)
    assert not older.of("deliver_command")


async def test_charge_point_that_comes_to_another_gateway_gets_its_commands_there(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    link = await gateway.link(platform.channel)
    await link.attach("CP-1", "old")
    await comes_online(platform)
    other_gateway = LinkedGateway(platform.clock, "gateway-2")
    other = await other_gateway.link(platform.channel)
    platform.clock.move(seconds=1)
    await other.attach("CP-1", "new")

    async def moved() -> bool:
        return (await platform.get("CP-1")).gateway == "gateway-2"

    await eventually(moved)
    await link.detach("CP-1")
    await operator.create()
    assert (await other.command()).connection_id == "new"
    assert not link.of("deliver_command")


async def test_gateway_that_links_again_does_not_get_what_it_lists(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1")
    link = await gateway.link(platform.channel)
    created = await operator.create()
    await link.command()
    gateway.unanswered = [id_of(created)]
    await link.break_off()
    again = await gateway.link(platform.channel)
    await again.answer(id_of(created))
    assert not again.of("deliver_command")
    assert (await ends(operator, created)).state == command_pb.Command.STATE_COMPLETED


async def test_gateway_that_links_again_gets_what_was_lost_on_the_way(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1")
    link = await gateway.link(platform.channel)
    created = await operator.create()
    await link.command()
    await link.break_off()
    again = await gateway.link(platform.channel)
    assert (await again.command()).command_id == id_of(created)


async def test_new_process_of_a_gateway_ends_what_the_old_one_had(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1")
    link = await gateway.link(platform.channel)
    created = await operator.create()
    await link.sent((await link.command()).command_id)
    await LinkedGateway(platform.clock).link(platform.channel)
    assert await link.ended() is grpc.StatusCode.ABORTED
    ended = await ends(operator, created)
    assert ended.state == command_pb.Command.STATE_FAILED
    assert "GATEWAY_LOST" in str(ended.error)
    assert not (await platform.get("CP-1")).online


async def test_hello_closes_what_the_gateway_no_longer_holds(
    platform: Platform, gateway: LinkedGateway
) -> None:
    for identity in ("CP-1", "CP-2"):
        await platform.create(identity)
        gateway.connect(identity)
    link = await gateway.link(platform.channel)
    assert (await platform.get("CP-2")).online
    await link.break_off()
    gateway.disconnect("CP-2")
    await gateway.link(platform.channel)
    assert (await platform.get("CP-1")).online
    assert not (await platform.get("CP-2")).online


async def test_result_of_a_command_that_nobody_knows_is_confirmed(
    platform: Platform, gateway: LinkedGateway
) -> None:
    link = await gateway.link(platform.channel)
    await link.answer("0190a0a0-0000-7000-8000-000000000000")
    await link.answer("not-even-an-id")


async def test_silent_gateway_loses_its_link(start_platform: StartPlatform) -> None:
    platform = await start_platform(link_heartbeat_interval_s=0.2)
    await platform.create("CP-1")
    gateway = LinkedGateway(platform.clock)
    gateway.connect("CP-1")
    link = await gateway.link(platform.channel, beats=False)
    assert await link.ended() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert link.of("heartbeat")
    assert (await platform.get("CP-1")).online  # its lease still holds: nothing is known yet


async def test_gateway_that_beats_keeps_its_link(start_platform: StartPlatform) -> None:
    platform = await start_platform(link_heartbeat_interval_s=0.2)
    link = await LinkedGateway(platform.clock).link(platform.channel)
    await until(lambda: len(link.of("heartbeat")) >= 5)
    assert link.code is None


async def test_lost_gateway_loses_its_charge_points_and_commands(
    start_platform: StartPlatform,
) -> None:
    platform = await start_platform(gateway_lease_s=0.3, command_poll_interval_s=0.1)
    operator, gateway = Operator(platform), LinkedGateway(platform.clock)
    await platform.create("CP-1")
    gateway.connect("CP-1")
    link = await gateway.link(platform.channel, beats=False)
    created = await operator.create()
    await link.sent((await link.command()).command_id)
    await link.break_off()
    platform.clock.move(seconds=1)
    ended = await ends(operator, created)
    assert "GATEWAY_LOST" in str(ended.error)
    assert not (await platform.get("CP-1")).online
    await gateway.link(platform.channel)
    assert (await platform.get("CP-1")).online


async def test_service_that_stops_asks_gateways_to_leave(start_platform: StartPlatform) -> None:
    platform = await start_platform()
    link = await LinkedGateway(platform.clock).link(platform.channel)
    await platform.service.drain[1]()
    assert link.of("drain")
    assert await link.ended() is grpc.StatusCode.OK
    with pytest.raises(AssertionError, match="UNAVAILABLE"):
        await LinkedGateway(platform.clock).link(platform.channel)


async def test_gateway_that_does_not_leave_is_cut_off(start_platform: StartPlatform) -> None:
    platform = await start_platform()
    link = await LinkedGateway(platform.clock).link(platform.channel)
    link.leaves_when_drained = False
    await platform.service.drain[1]()
    assert await link.ended() is grpc.StatusCode.UNAVAILABLE


async def test_command_whose_claim_got_lost_is_delivered_after_all(
    start_platform: StartPlatform, database_url: str
) -> None:
    platform = await start_platform(gateway_lease_s=0.3, command_poll_interval_s=0.1)
    gateway = LinkedGateway(platform.clock)
    link = await gateway.link(platform.channel)
    await platform.create("CP-1")
    crashed = Deliverer(database_url, platform.clock)
    await crashed.connect("CP-1", "conn-1", gateway.instance_id)
    created = await Operator(platform).create()
    assert await crashed.claim("CP-1", "conn-1", gateway.instance_id) is not None
    await crashed.close()
    await link.attach("CP-1", "conn-1")
    assert (await link.command()).command_id == id_of(created)


async def test_gateway_hears_that_the_service_lives(start_platform: StartPlatform) -> None:
    platform = await start_platform(link_heartbeat_interval_s=0.1)
    link = await LinkedGateway(platform.clock).link(platform.channel)
    await until(lambda: len(link.of("heartbeat")) >= 3)


async def test_second_hello_ends_the_link(platform: Platform, gateway: LinkedGateway) -> None:
    link = await gateway.link(platform.channel)
    await link.say(hello=gateway.hello())
    assert await link.ended() is grpc.StatusCode.INVALID_ARGUMENT


async def test_hello_has_to_say_who_it_is(platform: Platform) -> None:
    stream = pb_grpc.GatewayLinkServiceStub(platform.channel).Connect()
    await stream.write(pb.ConnectRequest(hello=pb.Hello()))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stream.read()
    assert failure(raised).fields == ("hello.gateway_id", "hello.instance_id")


async def test_what_was_told_before_the_end_is_stored_and_confirmed(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1")
    link = await gateway.link(platform.channel)
    created = await operator.create()
    await link.command()
    await link.sent(id_of(created))
    await link.fail(id_of(created), sent=True)
    await link.leave()
    assert [it.command_id for it in link.of("result_stored")] == [id_of(created)]
    assert (await operator.get(created.name)).state == command_pb.Command.STATE_FAILED


async def test_command_that_was_not_sent_is_delivered_on_the_next_connection(
    platform: Platform, operator: Operator, gateway: LinkedGateway
) -> None:
    await platform.create("CP-1")
    gateway.connect("CP-1", "old")
    link = await gateway.link(platform.channel)
    created = await operator.create(deliver_when_online=True, **reset())
    await link.command()
    await link.detach("CP-1")
    await link.fail(id_of(created), sent=False)
    platform.clock.move(seconds=1)
    await link.attach("CP-1", "new")
    again = await link.command(2)
    assert (again.command_id, again.connection_id) == (id_of(created), "new")
