"""Two gateways, two replicas of device_service, a Redis: commands go on whatever is killed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.embedded import Platform
from tests.support.platform import assert_no_traceback, running_platform
from tests.support.postgres import create_database
from tests.support.rest import Rest
from tests.support.waiting import eventually

pytestmark = [pytest.mark.xdist_group("replicas"), pytest.mark.timeout(180)]

CHARGE_POINTS = 4


@pytest.fixture(scope="module")
async def replicated(
    postgres_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    folder = tmp_path_factory.mktemp("replicated")
    sizes: dict[str, Any] = {"gateways": 2, "device_replicas": 2, "fleet": CHARGE_POINTS}
    database_url = create_database(postgres_uri)
    async with running_platform(folder, database_url=database_url, **sizes) as platform:
        yield platform


@pytest.fixture
async def operator(replicated: Platform) -> AsyncIterator[Rest]:
    rest = Rest(replicated.rest_url)
    await eventually(lambda: all_are_online(rest))
    yield rest
    await rest.close()


async def online(operator: Rest) -> list[str]:
    page = await operator.get("/v1/chargePoints", online="true")
    return [item["name"] for item in page["chargePoints"]]


async def all_are_online(operator: Rest) -> bool:
    return len(await online(operator)) == CHARGE_POINTS


async def all_answer(operator: Rest) -> None:
    """Send each charge point as many commands as there are replicas behind the front door."""
    for name in [*await online(operator)] * 2:
        command = await operator.post(
            f"/v1/{name}/commands", {"getLocalListVersion": {}}, wait="20s"
        )
        assert command["state"] == "STATE_COMPLETED", command


async def test_commands_find_their_charge_points(operator: Rest) -> None:
    await all_answer(operator)


async def test_commands_go_on_when_a_replica_is_killed(
    replicated: Platform, operator: Rest
) -> None:
    await replicated.kill("device_service")
    await eventually(lambda: every_link_is_at(replicated, "device_service-2"))
    await all_answer(operator)
    await replicated.start_part("device_service")
    assert_no_traceback(replicated, "gateway", "gateway-2", "device_service-2")


async def test_commands_go_on_when_redis_comes_back_empty(
    replicated: Platform, operator: Rest
) -> None:
    await replicated.kill("redis")
    await all_answer(operator)
    await replicated.start_part("redis")
    await all_answer(operator)
    assert_no_traceback(replicated, "device_service", "device_service-2")


async def test_charge_points_of_a_gateway_that_is_killed_come_back(
    replicated: Platform, operator: Rest
) -> None:
    await replicated.kill("gateway-2")
    await eventually(lambda: none_is_at("gateway-2", operator))
    await eventually(lambda: all_are_online(operator))
    await all_answer(operator)


async def every_link_is_at(replicated: Platform, replica: str) -> bool:
    return replicated.logs(replica).count("gateway_linked") >= 2


async def none_is_at(gateway: str, operator: Rest) -> bool:
    page = await operator.get("/v1/chargePoints")
    return all(item["gateway"] != gateway for item in page["chargePoints"] if item["online"])
