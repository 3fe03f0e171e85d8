"""CommandService over real gRPC and PostgreSQL; commands are delivered by the test."""

from collections.abc import AsyncIterator

import pytest

from csms.ocpp.v16 import core_pb2
from csms.v1 import command_service_pb2 as pb
from tests.fakes.deliverer import Deliverer
from tests.integration.device_service.commands import Operator, id_of
from tests.integration.device_service.gateway import Platform


@pytest.fixture
def operator(platform: Platform) -> Operator:
    return Operator(platform)


@pytest.fixture
async def deliverer(platform: Platform, database_url: str) -> AsyncIterator[Deliverer]:
    """A charge point CP-1 is registered and connected."""
    deliverer = Deliverer(database_url, platform.clock)
    await platform.create("CP-1")
    await deliverer.connect("CP-1")
    yield deliverer
    await deliverer.close()


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
