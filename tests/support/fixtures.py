"""One platform for all tests of a worker that do not break it, whatever folder they are in."""

from collections.abc import AsyncIterator

import pytest

from deploy.embedded import Platform
from tests.support.platform import running_platform
from tests.support.postgres import create_database
from tests.support.rest import Rest


@pytest.fixture(scope="session")
async def platform(
    postgres_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """A running platform with a database of its own."""
    folder = tmp_path_factory.mktemp("platform")
    async with running_platform(folder, database_url=create_database(postgres_uri)) as platform:
        yield platform


@pytest.fixture(scope="session")
async def rest(platform: Platform) -> AsyncIterator[Rest]:
    """The platform's REST API."""
    rest = Rest(platform.rest_url)
    yield rest
    await rest.close()
