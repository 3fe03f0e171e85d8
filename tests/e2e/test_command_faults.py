"""Parts are killed, hung and restarted under commands: each gets a verdict, none comes twice."""

import asyncio
import contextlib
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from ocpp.v16 import call
from ocpp.v16.enums import Reason
from websockets.exceptions import WebSocketException

from deploy.embedded import Platform
from tests.support.charge_points import boot, ocpp_now
from tests.support.commanded import Answers, Commanded, commanded
from tests.support.platform import assert_no_traceback, running_platform
from tests.support.postgres import create_database
from tests.support.rest import Rest
from tests.support.waiting import eventually

pytestmark = [pytest.mark.xdist_group("command_faults"), pytest.mark.timeout(180)]

LEASE_S = 5
VERDICT_S = 4 * LEASE_S
"""Long enough for a lease that runs out and for the next look at it, on a busy machine."""

ANSWERS: Answers = {"ChangeConfiguration": {"status": "Accepted"}}
SILENCE: Answers = {"ChangeConfiguration": None, "Reset": None}
ENDED = {"STATE_COMPLETED", "STATE_FAILED", "STATE_EXPIRED", "STATE_CANCELLED"}
LOST = {"FAILED/CONNECTION_LOST", "FAILED/GATEWAY_LOST"}


@pytest.fixture(scope="module")
async def replicated(
    postgres_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """Two gateways and two replicas that notice soon what is lost."""
    folder = tmp_path_factory.mktemp("command_faults")
    soon = {"CSMS_GATEWAY_LEASE_S": str(LEASE_S), "CSMS_LINK_HEARTBEAT_INTERVAL_S": "1"}
    sizes: dict[str, Any] = {"gateways": 2, "device_replicas": 2}
    async with running_platform(
        folder,
        database_url=create_database(postgres_uri),
        extra_env={"device_service": soon, "device_service-2": soon},
        **sizes,
    ) as platform:
        yield platform


@pytest.fixture
async def operator(replicated: Platform) -> AsyncIterator[Rest]:
    rest = Rest(replicated.rest_url)
    await eventually(rest.is_healthy)
    yield rest
    await rest.close()


# --- charge points


def at(platform: Platform, gateway: str) -> str:
    """Return the URL of one gateway, past Envoy."""
    return f"ws://{platform.address(gateway)}/ocpp"


@asynccontextmanager
async def charger(
    url: str, operator: Rest, identity: str, answers: Answers = ANSWERS
) -> AsyncIterator[Commanded]:
    """Connect a charge point and wait until this very connection is known."""
    listed = (await operator.get("/v1/chargePoints", pageSize=1000))["chargePoints"]
    before = {item["name"]: item["connectionGeneration"] for item in listed}
    async with commanded(url, identity, answers) as charge_point:
        await boot(charge_point.station)

        async def is_known() -> bool:
            now = await operator.charge_point(identity)
            is_new = now["connectionGeneration"] != before.get(now["name"])
            return is_new and bool(now["online"])

        await eventually(is_known)
        yield charge_point


async def stay_connected(url: str, identity: str, asked: list[str]) -> None:
    """Be a charge point that comes back whenever its line is cut; note what it is asked."""
    while True:
        with contextlib.suppress(OSError, WebSocketException, TimeoutError):
            async with commanded(url, identity, ANSWERS) as charge_point:
                try:
                    await boot(charge_point.station)
                    await charge_point.socket.socket.wait_closed()
                finally:
                    asked.extend(keys([charge_point]))
        await asyncio.sleep(0.2)


@asynccontextmanager
async def staying(
    platform: Platform, operator: Rest, identities: Sequence[str]
) -> AsyncIterator[list[str]]:
    """Keep charge points connected through Envoy; what they were asked is there afterwards."""
    asked: list[str] = []
    tasks = [
        asyncio.create_task(stay_connected(platform.ocpp_url, identity, asked))
        for identity in identities
    ]
    try:
        for identity in identities:
            await eventually(partial(is_online, operator, identity))
        yield asked
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def keys(charge_points: Iterable[Commanded]) -> list[str]:
    """Return which marks came, in their order."""
    return [
        payload["key"]
        for charge_point in charge_points
        for action, payload in charge_point.asked
        if action == "ChangeConfiguration"
    ]


async def is_online(operator: Rest, identity: str) -> bool:
    try:
        return bool((await operator.charge_point(identity))["online"])
    except AssertionError:  # it has not come for the first time
        return False


# --- commands


def marked(mark: str, *, stored: bool = False, **values: Any) -> dict[str, Any]:
    """Return a command that can be told from every other; `stored`: it waits for its receiver."""
    payload = {"key": mark, "value": "1"}
    return {"changeConfiguration": payload, "deliverWhenOnline": stored, **values}


async def create(operator: Rest, identity: str, mark: str, **values: Any) -> str:
    command = await operator.post(f"/v1/chargePoints/{identity}/commands", marked(mark, **values))
    return str(command["name"])


async def is_sent(operator: Rest, name: str) -> bool:
    return bool((await operator.get(f"/v1/{name}"))["state"] == "STATE_SENT")


async def verdict(operator: Rest, name: str) -> str:
    """Wait until a command has ended and return how: COMPLETED, or FAILED/ and the reason."""
    async with asyncio.timeout(VERDICT_S):
        command = await operator.get(f"/v1/{name}", wait=f"{VERDICT_S}s")
        while command["state"] not in ENDED:
            command = await operator.get(f"/v1/{name}", wait=f"{VERDICT_S}s")
    state = str(command["state"]).removeprefix("STATE_")
    if state != "FAILED":
        return state
    assert command["sendTime"], command  # what was not in flight does not fail
    return f"FAILED/{command['error']['details'][0]['reason']}"


async def verdicts(operator: Rest, names: Iterable[str]) -> list[str]:
    return list(await asyncio.gather(*(verdict(operator, name) for name in names)))


async def create_surely(rest_url: str, identity: str, mark: str, *, stored: bool) -> str:
    """Create a command as a careful operator: the same request again until it is answered."""
    parent, request_id = f"/v1/chargePoints/{identity}", str(uuid.uuid4())
    async with httpx.AsyncClient(base_url=rest_url, timeout=10, trust_env=False) as client:
        async with asyncio.timeout(VERDICT_S):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.post(
                        f"{parent}/commands",
                        params={"requestId": request_id},
                        json=marked(mark, stored=stored),
                    )
                    if answer.status_code == httpx.codes.OK:
                        return str(answer.json()["name"])
                    assert answer.status_code in {429, 500, 503, 504}, answer.text
                await asyncio.sleep(0.1)


async def create_in_turn(
    rest_url: str, identities: Sequence[str], rounds: int, *, stored: bool = False
) -> dict[str, str]:
    """Create commands one after the other for each charge point; return their names by mark."""
    created: dict[str, str] = {}

    async def for_one(identity: str) -> None:
        for number in range(rounds):
            mark = f"{identity}-{number}"
            created[mark] = await create_surely(rest_url, identity, mark, stored=stored)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(for_one(identity) for identity in identities))
    return created


# --- what happens


async def test_stored_commands_come_in_their_order(replicated: Platform, operator: Rest) -> None:
    await operator.post("/v1/chargePoints", {}, chargePointId="LATER-1")
    marks = [f"LATER-{number}" for number in range(10)]
    names = [await create(operator, "LATER-1", mark, stored=True) for mark in marks]
    async with charger(replicated.ocpp_url, operator, "LATER-1") as charge_point:
        assert await verdicts(operator, names) == ["COMPLETED"] * len(names)
    assert keys([charge_point]) == marks


async def test_a_hard_reset_ends_with_the_connection(replicated: Platform, operator: Rest) -> None:
    await operator.add_id_tag("RESET-TAG")
    async with charger(replicated.ocpp_url, operator, "RESET-1", SILENCE) as before:
        begun = await before.call(
            call.StartTransaction(
                connector_id=1, id_tag="RESET-TAG", meter_start=0, timestamp=ocpp_now()
            )
        )
        reset = await operator.post(
            "/v1/chargePoints/RESET-1/commands", {"reset": {"type": "RESET_TYPE_HARD"}}
        )
        after_it = await create(operator, "RESET-1", "RESET-1-next", stored=True)
        await eventually(partial(is_sent, operator, reset["name"]))
        await before.call(
            call.StopTransaction(
                transaction_id=begun.transaction_id,
                meter_stop=100,
                timestamp=ocpp_now(),
                reason=Reason.hard_reset,
            )
        )
        before.hang_up()
        assert await verdict(operator, reset["name"]) == "FAILED/CONNECTION_LOST"
    (session,) = await operator.sessions_of("RESET-1")
    assert (session["state"], session["stopReason"]) == ("STATE_COMPLETED", "HardReset")
    async with charger(replicated.ocpp_url, operator, "RESET-1") as after:
        assert await verdict(operator, after_it) == "COMPLETED"
    assert keys([before, after]) == ["RESET-1-next"]


async def test_a_charge_point_moves_to_the_other_gateway(
    replicated: Platform, operator: Rest
) -> None:
    marks = [f"MOVE-{number}" for number in range(3)]
    async with charger(at(replicated, "gateway"), operator, "MOVE-1", SILENCE) as old:
        first = await create(operator, "MOVE-1", marks[0])
        rest = [await create(operator, "MOVE-1", marks[1])]
        rest.append(await create(operator, "MOVE-1", marks[2], stored=True))
        await eventually(partial(is_sent, operator, first))
        async with charger(at(replicated, "gateway-2"), operator, "MOVE-1") as new:
            old.hang_up()
            assert await verdict(operator, first) == "FAILED/CONNECTION_LOST"
            assert await verdicts(operator, rest) == ["COMPLETED"] * 2
    assert keys([old]) == marks[:1]
    assert keys([new]) == marks[1:]


async def test_a_gateway_is_killed_with_commands_in_flight(
    replicated: Platform, operator: Rest
) -> None:
    identities = [f"KILLED-{number}" for number in range(4)]
    async with AsyncExitStack() as stack:
        before = [
            await stack.enter_async_context(
                charger(at(replicated, "gateway-2"), operator, identity, SILENCE)
            )
            for identity in identities
        ]
        in_flight = [await create(operator, identity, f"{identity}-0") for identity in identities]
        waiting = [await create(operator, identity, f"{identity}-1") for identity in identities]
        stored = [
            await create(operator, identity, f"{identity}-2", stored=True)
            for identity in identities
        ]
        for name in in_flight:
            await eventually(partial(is_sent, operator, name))
        await replicated.kill("gateway-2")
        assert set(await verdicts(operator, in_flight)) <= LOST
    async with AsyncExitStack() as stack:
        after = [
            await stack.enter_async_context(charger(replicated.ocpp_url, operator, identity))
            for identity in identities
        ]
        assert set(await verdicts(operator, [*waiting, *stored])) == {"COMPLETED"}
    await replicated.start_part("gateway-2")
    assert Counter(keys(before)) == Counter(f"{identity}-0" for identity in identities)
    assert Counter(keys(after)) == Counter(
        f"{identity}-{number}" for identity in identities for number in (1, 2)
    )


async def test_a_gateway_hangs_and_keeps_its_sockets(replicated: Platform, operator: Rest) -> None:
    async with charger(at(replicated, "gateway"), operator, "HANGS-1", SILENCE) as charge_point:
        in_flight = await create(operator, "HANGS-1", "HANGS-0", answerTimeout=f"{LEASE_S}s")
        stored = await create(operator, "HANGS-1", "HANGS-1", stored=True)
        await eventually(partial(is_sent, operator, in_flight))
        os.kill(replicated.pid("gateway"), signal.SIGSTOP)
        try:
            assert await verdict(operator, in_flight) == "FAILED/GATEWAY_LOST"

            async def is_offline() -> bool:
                return not await is_online(operator, "HANGS-1")

            await eventually(is_offline, within_s=VERDICT_S)
            refused = await operator.post(
                "/v1/chargePoints/HANGS-1/commands", marked("HANGS-X"), expect=400
            )
            assert refused["details"][0]["reason"] == "CHARGE_POINT_OFFLINE"
        finally:
            os.kill(replicated.pid("gateway"), signal.SIGCONT)
        charge_point.socket.answers.update(ANSWERS)
        assert await verdict(operator, stored) == "COMPLETED"
        assert await is_online(operator, "HANGS-1")
        last = await create(operator, "HANGS-1", "HANGS-2")
        assert await verdict(operator, last) == "COMPLETED"
    assert keys([charge_point]) == ["HANGS-0", "HANGS-1", "HANGS-2"]
    assert_no_traceback(replicated, "gateway")


async def test_a_replica_is_killed_while_commands_are_created(
    replicated: Platform, operator: Rest
) -> None:
    identities = [f"CREATED-{number}" for number in range(4)]
    async with staying(replicated, operator, identities) as asked:
        creating = asyncio.create_task(create_in_turn(replicated.rest_url, identities, 20))
        for replica in ("device_service-2", "device_service"):
            await asyncio.sleep(0.5)
            await replicated.kill(replica)
            await replicated.start_part(replica)
        created = await creating
        assert set(await verdicts(operator, created.values())) == {"COMPLETED"}
    assert Counter(asked) == Counter(created.keys())
    assert_no_traceback(replicated, "gateway", "gateway-2", "device_service", "device_service-2")


async def test_the_gateways_are_restarted_one_by_one(replicated: Platform, operator: Rest) -> None:
    identities = [f"ROLLING-{number}" for number in range(4)]
    async with staying(replicated, operator, identities) as asked:
        creating = asyncio.create_task(
            create_in_turn(replicated.rest_url, identities, 30, stored=True)
        )
        for gateway in ("gateway", "gateway-2"):
            await asyncio.sleep(0.5)
            await replicated.restart(gateway)
        created = await creating
        ends = dict(zip(created, await verdicts(operator, created.values()), strict=True))
    assert set(ends.values()) <= {"COMPLETED", *LOST}
    assert set(Counter(asked).values()) == {1}
    assert {mark for mark, end in ends.items() if end == "COMPLETED"} <= set(asked)
    assert sum(end == "COMPLETED" for end in ends.values()) >= len(ends) - 2 * len(identities)
