"""The class that the tests of the whole platform use, with stand-ins for our own programs."""

import os
from collections.abc import AsyncIterator

import psycopg
import pytest

from deploy.embedded import Platform
from deploy.ports import answering, serving
from deploy.settings import ROOT
from tests.integration.deploy import fake_part
from tests.support.platform import running_platform

OURS = ("auth_service", "session_service", "device_service", "gateway", "gateway-2")


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    fake_part.install(folder)
    env = {
        "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT, ROOT / "protos/gen"))),
        "FAKE_JOURNAL": str(folder / "journal"),
    }
    async with running_platform(folder, extra_env=dict.fromkeys(OURS, env), gateways=2) as platform:
        yield platform


async def test_a_killed_part_is_gone_until_it_is_started(platform: Platform) -> None:
    address, pid = platform.address("session_service"), platform.pid("session_service")
    await platform.kill("session_service")
    assert not await serving(address)
    await platform.start_part("session_service")
    assert await serving(address)
    assert platform.pid("session_service") != pid


async def test_a_part_can_be_restarted(platform: Platform) -> None:
    pid = platform.pid("gateway")
    await platform.restart("gateway")
    assert await answering(platform.address("gateway"))
    assert platform.pid("gateway") != pid


async def test_the_log_of_a_part_can_be_read(platform: Platform) -> None:
    assert "auth_service listens" in platform.logs("auth_service")


async def test_several_gateways_run(platform: Platform) -> None:
    assert platform.address("gateway") != platform.address("gateway-2")
    assert await answering(platform.address("gateway-2"))


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_database_keeps_what_was_committed(platform: Platform, end: str) -> None:
    async with await psycopg.AsyncConnection.connect(platform.database_url) as connection:
        await connection.execute(f"CREATE TABLE {end}_survives AS SELECT 42 AS answer")
    await (platform.kill("postgres") if end == "kill" else platform.stop_part("postgres"))
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(platform.database_url)
    await platform.start_part("postgres")
    async with await psycopg.AsyncConnection.connect(platform.database_url) as connection:
        row = await (await connection.execute(f"SELECT answer FROM {end}_survives")).fetchone()
    assert row == (42,)


async def test_the_database_does_not_trade_safety_for_speed(platform: Platform) -> None:
    async with await psycopg.AsyncConnection.connect(platform.database_url) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = await (await connection.execute(f"SHOW {name}")).fetchone()
            assert row == ("on",)


async def test_the_urls_lead_to_the_gateway(platform: Platform) -> None:
    assert platform.rest_url.removeprefix("http") == platform.ocpp_url.removeprefix("ws")[:-5]
    assert await answering(platform.rest_url.removeprefix("http://"))
