"""device_service over real sockets and a real PostgreSQL, with a clock that tests move."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from device_service.config import Config
from device_service.wiring import build
from tests.fakes.deliverer import Deliverer
from tests.integration.device_service.commands import Operator
from tests.integration.device_service.gateway import Platform, SetClock
from tests.support.services import NO_TRACING, free_address, serving

StartPlatform = Callable[..., Awaitable[Platform]]


@pytest.fixture
async def start_platform(database_url: str) -> AsyncIterator[StartPlatform]:
    """Starts the service with the given settings; several share one database."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Platform:
            settings = {"session_address": free_address()} | settings
            config = Config(listen=free_address(), database_url=database_url, **settings)
            clock = SetClock()
            service = build(config, NO_TRACING, clock)
            channel = await stack.enter_async_context(serving(service, config.listen))
            return Platform(channel, clock, service)

        yield start


@pytest.fixture
async def platform(start_platform: StartPlatform) -> Platform:
    """The service with its default settings."""
    return await start_platform()


@pytest.fixture
def operator(platform: Platform) -> Operator:
    """Who calls CommandService."""
    return Operator(platform)


@pytest.fixture
async def deliverer(platform: Platform, database_url: str) -> AsyncIterator[Deliverer]:
    """A charge point CP-1 is registered and connected."""
    deliverer = Deliverer(database_url, platform.clock)
    await platform.create("CP-1")
    await deliverer.connect("CP-1")
    yield deliverer
    await deliverer.close()
