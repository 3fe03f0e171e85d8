from collections.abc import AsyncIterator

import pytest

from tests.integration.simulator.central_system import CentralSystem, central_system


@pytest.fixture
async def central() -> AsyncIterator[CentralSystem]:
    async with central_system() as central:
        yield central
