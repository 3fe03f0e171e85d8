"""Handing out commands and taking their results, in a real PostgreSQL."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from csms.v1 import command_service_pb2 as pb
from device_service.domain import ChargePointId
from device_service.domain.commands import Command, CommandState, GatewayLost
from device_service.ports import Outcome
from servicekit.status import reason_of
from tests.fakes.deliverer import ACCEPTED, Deliverer
from tests.integration.device_service.commands import Operator, id_of, reset
from tests.support.statements import noted

LATER = {**reset(), "deliver_when_online": True}
LEASE = timedelta(seconds=30)
REPLACED = GatewayLost("The connection was replaced.")


@pytest.fixture
def state(operator: Operator) -> Callable[[pb.Command], Awaitable[str]]:
    async def read(command: pb.Command) -> str:
        found = (await operator.get(command.name)).state
        return pb.Command.State.Name(found).removeprefix("STATE_")

    return read


State = Callable[[pb.Command], Awaitable[str]]


def soon(operator: Operator) -> Timestamp:
    """Return a time so near that the lease of the gateway lasts longer."""
    time = Timestamp()
    time.FromDatetime(operator.platform.clock.now() + timedelta(seconds=5))
    return time


def never(_: object) -> None:
    """Stand in for a check of what is plain."""
    raise AssertionError


async def claimed(deliverer: Deliverer, connection: str = "conn-1") -> str:
    delivery = await deliverer.claim("CP-1", connection)
    return delivery.command_id if delivery else ""


async def test_commands_are_handed_out_one_at_a_time_in_their_order(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = [id_of(await operator.create()) for _ in range(4)]
    handed_out = []
    while command_id := await claimed(deliverer):
        assert await claimed(deliverer) == ""
        await deliverer.desk.sent(command_id, operator.platform.clock.now())
        assert await claimed(deliverer) == ""
        await deliverer.answer(command_id)
        handed_out.append(command_id)
    assert handed_out == created


async def test_every_step_of_a_command_is_one_statement(
    operator: Operator, deliverer: Deliverer
) -> None:
    now = operator.platform.clock.now()
    command = Command(
        *(uuid.uuid4(), ChargePointId("CP-1"), "Reset", b"request", "operator"),
        create_time=now,
        expire_time=now + timedelta(minutes=1),
    )
    with noted(deliverer.database) as executed:
        steps = []
        for step in (
            lambda: deliverer.store.add(
                command, never, max_open=1, alive_since=now - LEASE, repeats_since=now - LEASE
            ),
            lambda: deliverer.claim("CP-1"),
            lambda: deliverer.desk.sent(str(command.command_id), now),
            lambda: deliverer.desk.ended(
                Outcome(str(command.command_id), now, sent=True, response=ACCEPTED)
            ),
        ):
            await step()
            steps.append(len(executed))
    assert steps == [1, 2, 3, 4]
    found = await deliverer.store.find(ChargePointId("CP-1"), command.command_id)
    assert found is not None
    assert (found.state, found.request, found.response) == (
        CommandState.COMPLETED,
        b"request",
        ACCEPTED,
    )


async def test_replica_that_does_not_know_of_the_end_changes_nothing(
    operator: Operator, deliverer: Deliverer, database_url: str, state: State
) -> None:
    created = await operator.create()
    command_id = await claimed(deliverer)
    elsewhere = Deliverer(database_url, operator.platform.clock)
    await elsewhere.fail(command_id, REPLACED, sent=True)
    await elsewhere.close()
    await deliverer.answer(command_id)
    assert await state(created) == "FAILED"
    ended = await operator.get(created.name)
    assert not ended.HasField("response")


async def test_replica_that_does_not_know_of_a_new_claim_goes_by_it(
    operator: Operator, deliverer: Deliverer, database_url: str, state: State
) -> None:
    created = await operator.create(**LATER)
    command_id = await claimed(deliverer)
    elsewhere = Deliverer(database_url, operator.platform.clock)
    await elsewhere.desk.release(command_id)
    await elsewhere.connect("CP-1", "conn-2", "instance-2")
    assert await elsewhere.claim("CP-1", "conn-2", "instance-2") is not None
    await elsewhere.close()
    await deliverer.desk.sent(command_id, operator.platform.clock.now())
    found = await deliverer.store.find(ChargePointId("CP-1"), uuid.UUID(command_id))
    assert found is not None
    assert (found.state, found.handed_to) == (CommandState.SENT, "instance-2")
    assert await state(created) == "SENT"


async def test_replicas_that_claim_at_the_same_time_get_one_command(
    operator: Operator, deliverer: Deliverer
) -> None:
    for _ in range(5):
        await operator.create()
    for _ in range(5):
        claims = await asyncio.gather(*(claimed(deliverer) for _ in range(4)))
        (winner,) = [claim for claim in claims if claim]
        await deliverer.answer(winner)


async def test_command_is_handed_out_for_the_newest_connection_only(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    operator.platform.clock.move(seconds=1)
    await deliverer.connect("CP-1", "conn-2", "instance-2")
    assert await claimed(deliverer, "conn-1") == ""
    assert await claimed(deliverer, "conn-2") == id_of(created)


async def test_charge_points_with_something_to_claim_are_told(
    operator: Operator, deliverer: Deliverer
) -> None:
    for key in ("CP-2", "CP-3", "CP-4"):
        await operator.platform.create(key)
        await deliverer.connect(key)
    for key in ("CP-1", "CP-2", "CP-2"):
        await operator.create(key)
    await operator.cancel((await operator.create("CP-3")).name)
    keys = ["CP-1", "CP-2", "CP-3"]
    assert sorted(await deliverer.desk.waiting(keys)) == ["CP-1", "CP-2"]
    await deliverer.claim("CP-2")
    assert await deliverer.desk.waiting(keys) == ["CP-1"]
    operator.platform.clock.move(minutes=2)
    assert await deliverer.desk.waiting(keys) == []


async def test_refusal_of_the_charge_point_is_kept(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    command_id = await claimed(deliverer)
    refusal = ("NotImplemented", "no such thing", '{"why": 1}')
    now = operator.platform.clock.now()
    outcome = Outcome(command_id, now, sent=True, call_error=refusal)
    assert await deliverer.desk.ended(outcome) == "CP-1"
    ended = await operator.get(created.name)
    assert ended.state == pb.Command.STATE_FAILED
    error = ended.call_error
    assert (error.code, error.description, error.details) == refusal
    assert ended.HasField("send_time")


async def test_reason_without_an_answer_is_kept(operator: Operator, deliverer: Deliverer) -> None:
    created = await operator.create()
    await deliverer.fail(await claimed(deliverer), REPLACED, sent=False)
    ended = await operator.get(created.name)
    assert ended.state == pb.Command.STATE_FAILED
    assert ended.error.message == "The connection was replaced."
    assert not ended.HasField("send_time")


async def test_results_are_taken_once(operator: Operator, deliverer: Deliverer) -> None:
    created = await operator.create()
    command_id = await claimed(deliverer)
    await deliverer.answer(command_id)
    ended = await operator.get(created.name)
    operator.platform.clock.move(seconds=9)
    await deliverer.answer(command_id)
    await deliverer.fail(command_id, REPLACED, sent=True)
    await deliverer.desk.gateway_lost("instance-1")
    assert await operator.get(created.name) == ended
    outcome = Outcome(command_id, operator.platform.clock.now(), sent=True, response=ACCEPTED)
    assert await deliverer.desk.ended(outcome) == "CP-1"


@pytest.mark.parametrize("command_id", ["nonsense", "01a20a32-2140-7fe6-8f74-ac42de147b15"])
async def test_results_of_unknown_commands_change_nothing(
    deliverer: Deliverer, command_id: str
) -> None:
    await deliverer.desk.sent(command_id, deliverer.now())
    outcome = Outcome(command_id, deliverer.now(), sent=True, response=ACCEPTED)
    assert await deliverer.desk.ended(outcome) == ""


async def test_command_for_later_waits_again_when_it_was_not_sent(
    operator: Operator, deliverer: Deliverer, state: State
) -> None:
    created = await operator.create(**LATER)
    await deliverer.fail(await claimed(deliverer), REPLACED, sent=False)
    assert await state(created) == "PENDING"
    assert await claimed(deliverer) == id_of(created)


async def test_command_for_later_that_was_sent_is_not_repeated(
    operator: Operator, deliverer: Deliverer, state: State
) -> None:
    created = await operator.create(**LATER)
    await deliverer.fail(await claimed(deliverer), REPLACED, sent=True)
    assert await state(created) == "FAILED"
    assert await claimed(deliverer) == ""


@pytest.mark.parametrize("values", [reset(), LATER])
async def test_command_that_the_gateway_could_not_send_in_time_expires(
    operator: Operator, deliverer: Deliverer, state: State, values: dict[str, Any]
) -> None:
    created = await operator.create(**values, expire_time=soon(operator))
    command_id = await claimed(deliverer)
    operator.platform.clock.move(seconds=6)
    await deliverer.fail(command_id, REPLACED, sent=False)
    assert await state(created) == "EXPIRED"


async def test_command_that_is_handed_out_is_not_expired_behind_its_gateways_back(
    operator: Operator, deliverer: Deliverer, state: State
) -> None:
    created = await operator.create(**reset(), expire_time=soon(operator))
    command_id = await claimed(deliverer)
    operator.platform.clock.move(seconds=6)
    now = operator.platform.clock.now()
    assert await deliverer.store.change_overdue(now, lambda item: item.expire(now), 10) == []
    await deliverer.answer(command_id)
    assert await state(created) == "COMPLETED"


async def test_released_command_waits_again(operator: Operator, deliverer: Deliverer) -> None:
    created = await operator.create()
    await deliverer.desk.release(await claimed(deliverer))
    assert await claimed(deliverer) == id_of(created)


async def test_relinked_gateway_gives_back_what_it_never_got(
    operator: Operator, deliverer: Deliverer, state: State
) -> None:
    created = await operator.create()
    await claimed(deliverer)
    await deliverer.desk.relinked("instance-1", [])
    assert await state(created) == "PENDING"
    assert await claimed(deliverer) == id_of(created)


async def test_relinked_gateway_keeps_what_it_lists(
    operator: Operator, deliverer: Deliverer, state: State
) -> None:
    created = await operator.create()
    command_id = await claimed(deliverer)
    await deliverer.desk.relinked("instance-1", [command_id])
    assert await claimed(deliverer) == ""
    await deliverer.desk.sent(command_id, deliverer.now())
    await deliverer.desk.relinked("instance-1", [command_id])
    assert await state(created) == "SENT"


async def test_sent_command_that_a_gateway_no_longer_knows_has_failed(
    operator: Operator, deliverer: Deliverer
) -> None:
    created = await operator.create()
    await deliverer.desk.sent(await claimed(deliverer), deliverer.now())
    await deliverer.desk.relinked("instance-1", [])
    ended = await operator.get(created.name)
    assert ended.state == pb.Command.STATE_FAILED
    assert reason_of(ended.error) == "GATEWAY_LOST"


async def test_commands_of_a_lost_gateway_fail_and_no_others(
    operator: Operator, deliverer: Deliverer, state: State
) -> None:
    await operator.platform.create("CP-2")
    await deliverer.connect("CP-2", "conn-2", "instance-2")
    lost, waiting, other = [await operator.create(key) for key in ("CP-1", "CP-1", "CP-2")]
    await claimed(deliverer)
    await deliverer.claim("CP-2", "conn-2", "instance-2")
    await deliverer.desk.gateway_lost("instance-1")
    assert reason_of((await operator.get(lost.name)).error) == "GATEWAY_LOST"
    assert [await state(command) for command in (lost, waiting, other)] == [
        "FAILED",
        "PENDING",
        "PENDING",
    ]
    assert await claimed(deliverer) == id_of(waiting)


async def test_expiry_ends_more_than_one_batch(operator: Operator, deliverer: Deliverer) -> None:
    for _ in range(3):
        await operator.create()
    later = operator.platform.clock.now() + timedelta(minutes=2)
    first = await deliverer.store.change_overdue(later, lambda item: item.expire(later), 2)
    rest = await deliverer.store.change_overdue(later, lambda item: item.expire(later), 2)
    assert (len(first), len(rest)) == (2, 1)
