"""PostgreSQL's disk is full: facts are refused, not lost, and nothing has to be restarted."""

import asyncio
from collections.abc import AsyncIterator

import psutil
import pytest

from deploy.embedded import Platform
from deploy.postgres import EmbeddedPostgres
from tests.chaos.audit import assert_all_there_once
from tests.chaos.chargers import Charger, end
from tests.chaos.conftest import CALL_TIMEOUT_S
from tests.chaos.disks import Disk, postgres_on_a_small_disk, use_up_the_log
from tests.support.charge_points import raw_charge_point
from tests.support.platform import running_platform
from tests.support.rest import Rest
from tests.support.waiting import eventually, until

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(240)]

CHARGERS = 8
SERVICES = ("auth_service", "session_service", "device_service", "gateway")


class Site:
    """A platform, its PostgreSQL and the disk of that."""

    def __init__(self, platform: Platform, postgres: EmbeddedPostgres, disk: Disk) -> None:
        self.platform, self.postgres, self.disk = platform, postgres, disk
        self.rest = Rest(platform.rest_url)

    def services(self) -> list[psutil.Process]:
        """Return the processes of the services, which have to run."""
        return [psutil.Process(self.platform.pid(name)) for name in SERVICES]

    async def is_healthy(self) -> bool:
        """Tell whether all serve; start PostgreSQL, as a machine does, should it have given up."""
        if not self.postgres.running:
            await self.postgres.start()
        return await self.rest.is_healthy()


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("full")
    environment = {"gateway": {"CSMS_CALL_TIMEOUT_S": CALL_TIMEOUT_S}}
    async with (
        postgres_on_a_small_disk(folder) as (postgres, disk),
        running_platform(folder, database_url=postgres.uri, extra_env=environment) as platform,
    ):
        site = Site(platform, postgres, disk)
        yield site
        await site.rest.close()


async def test_without_room_for_rows_facts_are_refused_until_there_is_room(site: Site) -> None:
    await charge_through_a_full_disk(site, "ROWS", gives_up=False)


async def test_a_database_that_gave_up_for_want_of_room_comes_back(site: Site) -> None:
    """PostgreSQL ends itself when it cannot write its log (PANIC), and cannot recover either."""
    await charge_through_a_full_disk(site, "LOG", gives_up=True)


async def charge_through_a_full_disk(site: Site, name: str, *, gives_up: bool) -> None:
    services, enough = site.services(), asyncio.Event()
    chargers = [Charger(site.platform.ocpp_url, f"{name}-{n}") for n in range(CHARGERS)]
    charging = [asyncio.create_task(charger.charge_until(enough)) for charger in chargers]
    try:
        await until(lambda: all(charger.ledger.of("MeterValues") for charger in chargers), 60)
        site.disk.fill()
        if gives_up:
            await use_up_the_log(site.postgres)
        await until(lambda: all(was_refused(charger) for charger in chargers), 60)
        async with raw_charge_point(site.platform.ocpp_url, f"{name}-0") as line:
            assert (await line.call("Heartbeat", {}))[0] == 3
        site.disk.free()
        await eventually(site.is_healthy, within_s=60)
        enough.set()
        await asyncio.gather(*charging)
    finally:
        await end(charging)
    ledgers = [charger.ledger for charger in chargers]
    await assert_all_there_once(site.rest, site.platform.database_url, ledgers)
    assert site.services() == services


def was_refused(charger: Charger) -> bool:
    """Tell whether a charge point got a CALLERROR to a fact."""
    return any(fact.refused for fact in charger.ledger.facts if fact.action != "BootNotification")
