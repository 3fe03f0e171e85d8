"""Commands on their way to a charge point and back."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from google.rpc import error_details_pb2
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection

from csms.gateway.v1 import gateway_link_pb2 as pb
from csms.ocpp.v16 import core_pb2
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemCall
from servicekit.telemetry import Tracing
from tests.fakes.gateway_link import a_command
from tests.fakes.otlp import collecting
from tests.integration.gateway.harness import (
    Installation,
    answer,
    ask,
    authorize,
    frame,
    installed,
)
from tests.support.services import free_address
from tests.support.waiting import until

RESET = CentralSystemCall(reset=core_pb2.ResetRequest(type=core_pb2.RESET_TYPE_HARD))
CLEAR_CACHE = CentralSystemCall(clear_cache=core_pb2.ClearCacheRequest())
GET_CONFIGURATION = CentralSystemCall(get_configuration=core_pb2.GetConfigurationRequest())
SECRET = "0123456789abcdef0123"
CHANGE_KEY = CentralSystemCall(
    change_configuration=core_pb2.ChangeConfigurationRequest(key="AuthorizationKey", value=SECRET)
)
METER_VALUES = {
    "connectorId": 1,
    "meterValue": [{"timestamp": "2026-01-02T03:04:05Z", "sampledValue": [{"value": "1"}]}],
}


@pytest.fixture
async def gateway() -> AsyncIterator[Installation]:
    async with installed() as installation:
        yield installation


async def connected(gateway: Installation, count: int = 1) -> ClientConnection:
    socket = await gateway.charge_point()
    await gateway.link.attached(count=count)
    return socket


async def accept(socket: ClientConnection, payload: dict[str, Any] | None = None) -> str:
    """Answer the next frame, a CALL, and return its action."""
    call = await answer(socket)
    assert call[0] == 2
    await socket.send(json.dumps([3, call[1], payload or {"status": "Accepted"}]))
    return str(call[2])


def reason(result: pb.CommandResult) -> str:
    info = error_details_pb2.ErrorInfo()
    assert result.error.details[0].Unpack(info)
    return str(info.reason)


async def test_command_is_sent_and_its_answer_told(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET)
    call = await answer(socket)
    assert (call[0], call[2:]) == (2, ["Reset", {"type": "Hard"}])
    await until(lambda: bool(gateway.link.of("command_sent")))
    assert gateway.link.of("command_sent")[0].command_id == command_id
    await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
    result = await gateway.link.result(command_id)
    assert result.sent
    assert result.answer.reset.status == core_pb2.RESET_STATUS_ACCEPTED
    assert gateway.link.of("command_sent")[0].send_time.ToMilliseconds() <= (
        result.complete_time.ToMilliseconds()
    )


async def test_call_error_is_told_as_it_is(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(CLEAR_CACHE)
    call = await answer(socket)
    await socket.send(json.dumps([4, call[1], "NotImplemented", "no cache", {"model": 11}]))
    result = await gateway.link.result(command_id)
    assert result.sent
    assert result.call_error == pb.CallErrorReceived(
        code="NotImplemented", description="no cache", details='{"model":11}'
    )


async def test_answer_is_repaired(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(GET_CONFIGURATION)
    entry = {"key": "HeartbeatInterval", "readonly": "false", "value": 300}
    await accept(socket, {"configurationKey": [entry]})
    result = await gateway.link.result(command_id)
    [told] = result.answer.get_configuration.configuration_key
    assert (told.key, told.readonly, told.value) == ("HeartbeatInterval", False, "300")


async def test_unreadable_answer_is_kept_without_secrets(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(GET_CONFIGURATION)
    with capture_logs() as logs:
        entry = {"key": "AuthorizationKey", "readonly": {"a": 1}, "value": SECRET}
        await accept(socket, {"configurationKey": [entry]})
        result = await gateway.link.result(command_id)
        assert (reason(result), result.sent) == ("ANSWER_UNREADABLE", True)
        await until(lambda: bool(gateway.session.of("unreadable_frame")))
    kept = gateway.session.of("unreadable_frame")[0]
    assert kept.unreadable_frame.action == "GetConfiguration"
    assert "readonly" in kept.raw_frame
    assert SECRET not in f"{kept} {result} {logs}"


async def test_secret_in_a_command_is_sent_but_never_logged(gateway: Installation) -> None:
    socket = await connected(gateway)
    with capture_logs() as logs:
        command_id = gateway.link.deliver(CHANGE_KEY)
        assert (await answer(socket))[3]["value"] == SECRET
        await socket.close()
        assert reason(await gateway.link.result(command_id)) == "CONNECTION_LOST"
    assert SECRET not in str(logs)


async def test_late_answer_is_ignored(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET, answer_timeout=timedelta(seconds=0.2))
    late = await answer(socket)
    result = await gateway.link.result(command_id)
    assert (reason(result), result.sent) == ("COMMAND_ANSWER_TIMEOUT", True)
    following = gateway.link.deliver(CLEAR_CACHE)
    call = await answer(socket)
    await socket.send(json.dumps([3, late[1], {"status": "Accepted"}]))
    await socket.send(json.dumps([3, call[1], {"status": "Rejected"}]))
    told = (await gateway.link.result(following)).answer.clear_cache
    assert told.status == core_pb2.CLEAR_CACHE_STATUS_REJECTED


async def test_one_call_is_outstanding_at_a_time(gateway: Installation) -> None:
    socket = await connected(gateway)
    ids = [gateway.link.deliver(call) for call in (RESET, CLEAR_CACHE)]
    first = await answer(socket)
    assert (await ask(socket, frame("h", "Heartbeat")))[1] == "h"
    await until(lambda: bool(gateway.link.of("command_sent")))
    assert [it.command_id for it in gateway.link.of("command_sent")] == ids[:1]
    await socket.send(json.dumps([3, first[1], {"status": "Accepted"}]))
    assert await accept(socket) == "ClearCache"
    assert (await gateway.link.result(ids[1])).WhichOneof("outcome") == "answer"


async def test_command_that_waits_too_long_for_its_turn_expires(gateway: Installation) -> None:
    socket = await connected(gateway)
    first = gateway.link.deliver(RESET)
    call = await answer(socket)
    waiting = gateway.link.deliver(CLEAR_CACHE, expires_in=timedelta(seconds=0.2))
    result = await gateway.link.result(waiting)
    assert (reason(result), result.sent) == ("COMMAND_EXPIRED", False)
    await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
    await gateway.link.result(first)
    assert (await ask(socket, frame("h", "Heartbeat")))[1] == "h"  # and no ClearCache before it


async def test_expired_command_is_not_sent(gateway: Installation) -> None:
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET, expires_in=timedelta(seconds=-1))
    result = await gateway.link.result(command_id)
    assert (reason(result), result.sent) == ("COMMAND_EXPIRED", False)
    assert (await ask(socket, frame("h", "Heartbeat")))[1] == "h"


async def test_command_for_a_replaced_connection_is_refused(gateway: Installation) -> None:
    older = await connected(gateway)
    old_id = gateway.link.connection_id()
    newer = await connected(gateway, count=2)
    result = await gateway.link.result(gateway.link.deliver(RESET, connection_id=old_id))
    assert (reason(result), result.sent) == ("CONNECTION_REPLACED", False)
    gateway.link.deliver(CLEAR_CACHE)
    assert await accept(newer) == "ClearCache"
    assert (await ask(older, frame("h", "Heartbeat")))[1] == "h"


async def test_command_for_nobody_is_refused(gateway: Installation) -> None:
    result = await gateway.link.result(gateway.link.deliver(RESET, connection_id="gone"))
    assert (reason(result), result.sent) == ("CONNECTION_LOST", False)


async def test_command_that_says_nothing_is_refused(gateway: Installation) -> None:
    await connected(gateway)
    for call in (CentralSystemCall(), CentralSystemCall(reset=core_pb2.ResetRequest())):
        result = await gateway.link.result(gateway.link.deliver(call))
        assert (reason(result), result.sent) == ("INVALID_REQUEST", False)


async def test_hard_reset_fails_all_that_is_under_way_at_once(gateway: Installation) -> None:
    socket = await connected(gateway)
    sent, waiting = gateway.link.deliver(RESET), gateway.link.deliver(CLEAR_CACHE)
    await answer(socket)
    await socket.send(frame("m", "MeterValues", METER_VALUES))
    socket.transport.abort()
    for command_id, was_sent in ((sent, True), (waiting, False)):
        result = await gateway.link.result(command_id)
        assert (reason(result), result.sent) == ("CONNECTION_LOST", was_sent)


async def test_socket_that_closes_behind_a_slow_call_fails_its_command_at_once(
    gateway: Installation,
) -> None:
    released = gateway.session.hold("meter_values")
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET)
    await answer(socket)
    for number in range(40):
        await socket.send(frame(str(number), "MeterValues", METER_VALUES))
    await socket.close()
    assert reason(await gateway.link.result(command_id)) == "CONNECTION_LOST"
    await until(lambda: bool(gateway.link.of("detached")))
    released.set()
    await until(lambda: len(gateway.session.of("meter_values")) == 40)


async def test_answer_behind_a_flood_of_calls_is_read(gateway: Installation) -> None:
    """The flood comes first, the reader pauses; the command and its answer go through."""
    released = gateway.session.hold("meter_values")
    socket = await connected(gateway)
    flood = [str(number) for number in range(1000)]
    for number in flood:
        await socket.send(frame(number, "MeterValues", METER_VALUES))
    command_id = gateway.link.deliver(RESET)
    await accept(socket)
    result = await gateway.link.result(command_id)
    assert result.answer.reset.status == core_pb2.RESET_STATUS_ACCEPTED
    released.set()
    assert [(await answer(socket))[:2] for _ in flood] == [[3, number] for number in flood]


async def test_heartbeats_behind_a_slow_call_are_answered_one_by_one(gateway: Installation) -> None:
    """However many: the answer to one begins the next."""
    released = gateway.session.hold("meter_values")
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET)
    reset = await answer(socket)
    await socket.send(frame("m", "MeterValues", METER_VALUES))
    beats = [str(number) for number in range(1000)]
    for number in beats:
        await socket.send(frame(number, "Heartbeat"))
    await socket.send(json.dumps([3, reset[1], {"status": "Accepted"}]))
    await gateway.link.result(command_id)  # all that came before it was read
    released.set()
    assert [(await answer(socket))[:2] for _ in ["m", *beats]] == [[3, it] for it in ["m", *beats]]


async def test_flood_beyond_all_bounds_is_read_no_further(gateway: Installation) -> None:
    released = gateway.session.hold("meter_values")
    socket = await connected(gateway)
    command_id = gateway.link.deliver(RESET, answer_timeout=timedelta(seconds=1))
    call = await answer(socket)
    filler = {"vendorId": "x" * 100_000}

    async def flood() -> None:
        await socket.send(frame("m", "MeterValues", METER_VALUES))
        for number in range(400):
            await socket.send(frame(str(number), "DataTransfer", filler))
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))

    flooding = asyncio.create_task(flood())
    result = await gateway.link.result(command_id)
    read_all = flooding.done()
    released.set()
    flooding.cancel()
    assert (reason(result), read_all) == ("COMMAND_ANSWER_TIMEOUT", False)
    assert (await answer(socket))[:2] == [3, "m"]


async def test_command_is_delivered_once_however_often_it_comes(gateway: Installation) -> None:
    gateway.link.confirms = False
    socket = await connected(gateway)
    command = a_command(RESET, connection_id=gateway.link.connection_id())
    for _ in range(2):
        gateway.link.newest.say(deliver_command=command)
    await accept(socket)
    await gateway.link.result(command.command_id)
    gateway.link.newest.say(deliver_command=command)
    await until(lambda: len(gateway.link.newest.results(command.command_id)) == 2)
    assert (await ask(socket, authorize("a")))[1] == "a"
    assert len(gateway.link.of("command_sent")) == 1


async def test_trace_of_the_command_goes_on() -> None:
    address = free_address()
    async with collecting(address) as collector:
        tracing = Tracing("gateway", f"http://{address}")
        async with installed(tracing) as gateway:
            socket = await connected(gateway)
            command_id = gateway.link.deliver(
                CHANGE_KEY, traceparent=f"00-{'a' * 32}-{'b' * 16}-01"
            )
            await accept(socket)
            await gateway.link.result(command_id)
        await asyncio.to_thread(tracing.close)
    [span] = [span for _, span in collector.spans if span.name == "ChangeConfiguration"]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == ("a" * 32, "b" * 16)
    assert SECRET not in str(collector.spans)
