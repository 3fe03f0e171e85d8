"""The link to device_service: how it begins, breaks, begins again and ends."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.fakes.gateway_link import FakeGatewayLink
from tests.fakes.services import FakeService
from tests.integration.gateway.harness import Installation, answer, ask, frame, installed
from tests.integration.gateway.test_commands import CLEAR_CACHE, RESET, accept, connected, reason
from tests.support.services import free_address
from tests.support.waiting import until


@pytest.fixture
async def gateway() -> AsyncIterator[Installation]:
    async with installed() as installation:
        yield installation


async def relinked(gateway: Installation, count: int = 2) -> None:
    await until(lambda: len(gateway.link.links) >= count)


async def test_hello_comes_first_and_tells_who_the_gateway_is(gateway: Installation) -> None:
    hello = gateway.link.newest.hello
    assert (hello.gateway_id, len(hello.instance_id)) == ("gateway", 36)
    assert hello.version
    assert gateway.link.newest.heard[0].WhichOneof("message") == "hello"
    assert len(gateway.link.newest.of("hello")) == 1


async def test_next_hello_lists_what_is_connected_by_then(gateway: Installation) -> None:
    first = await connected(gateway)
    await gateway.device.kill()
    second = await gateway.charge_point("/ocpp/CP-1")  # admitted from memory
    await first.close()
    assert (await ask(second, frame("h", "Heartbeat")))[1] == "h"
    await gateway.device.start()
    await relinked(gateway)
    [attached] = gateway.link.newest.hello.attached
    assert attached.charge_point_id == "CP-1"
    assert attached.connection_id != gateway.link.links[0].of("attached")[0].connection_id
    assert attached.open_time.seconds
    assert gateway.link.links[0].hello.instance_id == gateway.link.newest.hello.instance_id


async def test_result_is_kept_until_it_is_confirmed(gateway: Installation) -> None:
    gateway.link.confirms = False
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET)
    await accept(socket)
    await gateway.link.result(command_id)
    gateway.link.newest.end()
    await relinked(gateway)
    second = gateway.link.newest
    assert list(second.hello.unanswered_command_ids) == [command_id]
    gateway.link.confirms = True
    second.end()
    await relinked(gateway, 3)
    await until(lambda: len(gateway.link.newest.results(command_id)) == 1)
    await until(lambda: len(gateway.link.newest.of("heartbeat")) > 1)
    gateway.link.newest.end()
    await relinked(gateway, 4)
    assert not gateway.link.newest.hello.unanswered_command_ids


async def test_command_goes_on_while_the_link_is_away(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET)
    call = await answer(socket)
    await gateway.device.kill()
    await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
    assert (await ask(socket, frame("h", "Heartbeat")))[1] == "h"
    await gateway.device.start()
    await relinked(gateway)
    assert list(gateway.link.newest.hello.unanswered_command_ids) == [command_id]
    assert (await gateway.link.result(command_id)).WhichOneof("outcome") == "answer"


async def test_silence_of_two_heartbeats_ends_the_link(gateway: Installation) -> None:
    gateway.link.beats = False
    await relinked(gateway)
    await until(gateway.link.links[0].ended.is_set)


async def test_gateway_that_is_not_welcome_says_nothing_more() -> None:
    async with installed() as gateway:
        gateway.link.welcomes = False
        gateway.link.newest.end()
        await relinked(gateway)
        await gateway.charge_point()
        await gateway.link.attached()
        assert not gateway.link.newest.of("heartbeat")


async def test_drain_opens_the_next_link_before_the_old_is_closed(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET)
    call = await answer(socket)
    old = gateway.link.newest
    old.say(drain={})
    await relinked(gateway)
    await asyncio.wait_for(old.half_closed.wait(), 10)
    await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
    await until(lambda: len(gateway.link.newest.results(command_id)) == 1)
    assert not old.results(command_id)
    assert [it.charge_point_id for it in gateway.link.newest.hello.attached] == ["CP-1"]
    assert not gateway.link.of("detached")


async def test_replaced_link_is_told_to_people(gateway: Installation) -> None:
    gateway.link.aborts = True
    with capture_logs() as logs:
        gateway.link.newest.end()
        await relinked(gateway)
        errors = [entry["event"] for entry in logs if entry["log_level"] == "error"]
    assert errors == ["gateway_id_in_use_by_another_process"]


async def test_other_replica_is_linked_when_one_is_away() -> None:
    other_link, address = FakeGatewayLink(), free_address()
    other = FakeService(address, {}, other_link.register)
    async with installed(other_devices=address) as gateway:
        socket = await connected(gateway)
        await other.start()
        try:
            await gateway.device.kill()
            await until(lambda: bool(other_link.links))
            assert [it.charge_point_id for it in other_link.newest.hello.attached] == ["CP-1"]
            command_id = other_link.deliver(CLEAR_CACHE)
            assert await accept(socket) == "ClearCache"
            assert (await other_link.result(command_id)).sent
        finally:
            await other.kill()


async def test_sigterm_reports_what_was_under_way(gateway: Installation) -> None:
    settings = {
        "CSMS_LISTEN": free_address(),
        "CSMS_GATEWAY_ID": "second",
        "CSMS_AUTH_ADDRESS": gateway.auth.address,
        "CSMS_SESSION_ADDRESS": gateway.session.address,
        "CSMS_DEVICE_ADDRESS": gateway.device.address,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=os.environ | settings, stdout=asyncio.subprocess.PIPE
    )
    await relinked(gateway)
    second = next(it for it in gateway.link.links if it.hello.gateway_id == "second")
    gateway.link.links.append(second)  # the one that commands go to
    gateway.address = settings["CSMS_LISTEN"]
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET)
    await answer(socket)
    process.send_signal(signal.SIGTERM)
    result = await gateway.link.result(command_id)
    assert (reason(result), result.sent) == ("CONNECTION_LOST", True)
    log, _ = await asyncio.wait_for(process.communicate(), 20)
    assert b"Traceback" not in log
    await until(second.half_closed.is_set)
    assert [it.close_code for it in second.of("detached")] == [1001]
