"""A remote start is followed until its session is there, or did not come in time."""

from __future__ import annotations  # the stubs have names that exist only for type checkers

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from csms.v1 import command_service_pb2 as pb
from tests.fakes.deliverer import (
    REMOTE_START_ACCEPTED,
    REMOTE_START_REJECTED,
    Deliverer,
)
from tests.fakes.sessions import FakeSessions
from tests.integration.device_service.commands import Operator, remote_start, reset
from tests.integration.device_service.conftest import StartPlatform
from tests.support.services import free_address, serving_methods

AWAITED = pb.Command.SESSION_OUTCOME_AWAITED
STARTED = pb.Command.SESSION_OUTCOME_STARTED
NONE_CAME = pb.Command.SESSION_OUTCOME_NONE_CAME


@pytest.fixture
def sessions() -> FakeSessions:
    return FakeSessions()


@pytest.fixture
def address() -> str:
    return free_address()


@pytest.fixture
async def operator(start_platform: StartPlatform, address: str) -> Operator:
    platform = await start_platform(session_address=address, gateway_lease_s=3600)
    await platform.create("CP-1")
    return Operator(platform)


@pytest.fixture
async def deliverer(operator: Operator, database_url: str) -> AsyncIterator[Deliverer]:
    deliverer = Deliverer(database_url, operator.platform.clock)
    await deliverer.connect("CP-1")
    yield deliverer
    await deliverer.close()


async def answered(operator: Operator, deliverer: Deliverer, response: bytes) -> pb.Command:
    created = await operator.create(**remote_start("TAG-1"))
    operator.platform.clock.move(seconds=1)
    delivery = await deliverer.claim("CP-1")
    assert delivery is not None
    await deliverer.answer(delivery.command_id, response)
    return await operator.get(created.name)


def watching(operator: Operator, command: pb.Command) -> AsyncIterator[pb.Command]:
    return aiter(operator.stub.WatchCommand(pb.WatchCommandRequest(name=command.name)))


async def test_session_that_came_is_named(
    operator: Operator, deliverer: Deliverer, sessions: FakeSessions, address: str
) -> None:
    sessions.add("sessions/before", operator.platform.clock.now() - timedelta(seconds=1))
    async with serving_methods(sessions.handlers(), address=address):
        command = await answered(operator, deliverer, REMOTE_START_ACCEPTED)
        assert (command.state, command.session_outcome) == (pb.Command.STATE_COMPLETED, AWAITED)
        watch = watching(operator, command)
        assert (await anext(watch)).session_outcome == AWAITED
        sessions.add("sessions/first", operator.platform.clock.now())
        sessions.add("sessions/second", operator.platform.clock.now())
        followed = [change async for change in watch]
    assert [(change.session_outcome, change.session) for change in followed] == [
        (STARTED, "sessions/first")
    ]
    assert sessions.asked[0].charge_point == "chargePoints/CP-1"
    assert sessions.asked[0].id_tag == "idTags/TAG-1"


async def test_session_that_does_not_come_is_given_up(
    operator: Operator, deliverer: Deliverer, sessions: FakeSessions, address: str
) -> None:
    async with serving_methods(sessions.handlers(), address=address):
        command = await answered(operator, deliverer, REMOTE_START_ACCEPTED)
        watch = watching(operator, command)
        await anext(watch)
        operator.platform.clock.move(seconds=121)
        assert (await anext(watch)).session_outcome == NONE_CAME


async def test_nothing_is_said_while_session_service_is_away(
    operator: Operator, deliverer: Deliverer, sessions: FakeSessions, address: str
) -> None:
    command = await answered(operator, deliverer, REMOTE_START_ACCEPTED)
    watch = watching(operator, command)
    await anext(watch)
    sessions.add("sessions/1", operator.platform.clock.now())
    operator.platform.clock.move(seconds=121)
    async with serving_methods(sessions.handlers(), address=address):
        assert (await anext(watch)).session == "sessions/1"


async def test_wait_is_for_the_answer_alone(operator: Operator, deliverer: Deliverer) -> None:
    command = await answered(operator, deliverer, REMOTE_START_ACCEPTED)
    assert (await operator.get(command.name, wait_s=60)).session_outcome == AWAITED


async def test_no_session_is_awaited_of_a_refusal(operator: Operator, deliverer: Deliverer) -> None:
    command = await answered(operator, deliverer, REMOTE_START_REJECTED)
    assert command.state == pb.Command.STATE_COMPLETED
    assert command.session_outcome == pb.Command.SESSION_OUTCOME_UNSPECIFIED
    assert [change async for change in watching(operator, command)] == [command]


async def test_no_session_is_awaited_of_another_command(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create(**reset())
    delivery = await deliverer.claim("CP-1")
    assert delivery is not None
    await deliverer.answer(delivery.command_id)
    ended = await operator.get(created.name)
    assert ended.session_outcome == pb.Command.SESSION_OUTCOME_UNSPECIFIED
