"""The stage of the certification cases: the running platform and its REST API."""

import pytest

from deploy.embedded import Platform
from tests.support.rest import Rest
from tests.support.subject import Stage


@pytest.fixture(scope="session")
async def stage(platform: Platform, rest: Rest) -> Stage:
    """Where the cases take place."""
    return Stage(platform, rest)
