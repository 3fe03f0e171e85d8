"""What session_service does when auth_service is away."""

import asyncio

import pytest

import auth_service.wiring
from servicekit.errors import ServiceUnavailable
from servicekit.grpc_client import open_channel
from session_service.clients import AuthorizationClient
from session_service.domain.facts import AuthorizationStatus
from tests.integration.session_service.conftest import auth_config
from tests.support.services import NO_TRACING, free_address, serving


async def test_check_that_gets_no_answer_may_be_tried_again() -> None:
    async with open_channel(free_address()) as channel:
        client = AuthorizationClient(channel, NO_TRACING)
        with pytest.raises(ServiceUnavailable) as raised:
            await client.check("CARD-1", "CP-1", timeout_s=0.2)
    assert raised.value.retry_after is not None


async def test_check_waits_for_a_service_that_starts(database_url: str) -> None:
    config = auth_config(database_url, free_address())
    async with open_channel(config.listen) as channel:
        client = AuthorizationClient(channel, NO_TRACING)
        check = asyncio.create_task(client.check("CARD-1", "CP-1", timeout_s=20))
        done, _ = await asyncio.wait({check}, timeout=0.5)
        assert not done
        async with serving(auth_service.wiring.build(config, NO_TRACING), config.listen):
            assert (await check).info.status is AuthorizationStatus.INVALID
