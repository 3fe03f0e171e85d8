"""One platform with a PostgreSQL of its own, for all tests that do harm to it."""

from collections.abc import AsyncIterator

import pytest

from deploy.embedded import Platform
from tests.support.platform import running_platform
from tests.support.rest import Rest

CALL_TIMEOUT_S = "8"


@pytest.fixture(scope="package")
async def harmed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform to do harm to; services get eight seconds for an answer."""
    folder = tmp_path_factory.mktemp("harmed")
    environment = {"gateway": {"CSMS_CALL_TIMEOUT_S": CALL_TIMEOUT_S}}
    async with running_platform(folder, extra_env=environment) as platform:
        yield platform


@pytest.fixture(scope="package")
async def operator(harmed: Platform) -> AsyncIterator[Rest]:
    """The REST API of the harmed platform."""
    rest = Rest(harmed.rest_url)
    yield rest
    await rest.close()
