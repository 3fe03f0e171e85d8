"""The batched call stream, client and server half over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.rpc import code_pb2
from structlog.testing import capture_logs

from csms.gateway.v1 import call_pb2, call_pb2_grpc
from csms.ocpp.v16 import core_pb2
from csms.ocpp.v16.types_pb2 import IdTagInfo
from servicekit.calls.client import MAX_BATCH, CallClient, Outcome
from servicekit.calls.server import AnyHandler, CallContext, Handler
from servicekit.clock import SystemClock
from servicekit.errors import DatabaseUnavailable, DeadlineExceeded, PlatformError, QueueFull
from servicekit.grpc_client import open_channel
from servicekit.status import reason_of
from tests.fakes.clock import FakeClock
from tests.fakes.services import FakeService
from tests.support.services import free_address
from tests.support.waiting import until


@dataclass
class Link:
    """A client and the service that it calls."""

    client: CallClient
    service: FakeService

    async def ask(self, tag: str, *, within_s: float = 15) -> call_pb2.Answer:
        return await self.client.call(a_call(tag, within_s))

    def asking(self, *tags: str, within_s: float = 15) -> list["asyncio.Task[call_pb2.Answer]"]:
        return [asyncio.create_task(self.ask(tag, within_s=within_s)) for tag in tags]


class Gate:
    """A handler of Authorize that repeats the tag once the tag is let through."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self._passes: dict[str, asyncio.Event] = {}

    async def __call__(
        self, _: CallContext, request: core_pb2.AuthorizeRequest
    ) -> core_pb2.AuthorizeResponse:
        self.waiting.append(request.id_tag)
        await self._passes.setdefault(request.id_tag, asyncio.Event()).wait()
        return echo(request)

    def let(self, *tags: str) -> None:
        for tag in tags:
            self._passes.setdefault(tag, asyncio.Event()).set()


def a_call(tag: str, within_s: float = 15) -> call_pb2.Call:
    call = call_pb2.Call(charge_point_id="CP-1", connection_id="c", message_id="m")
    call.receive_time.FromDatetime(datetime.now(UTC))
    call.expire_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=within_s))
    call.request.authorize.id_tag = tag
    return call


def echo(request: core_pb2.AuthorizeRequest) -> core_pb2.AuthorizeResponse:
    return core_pb2.AuthorizeResponse(id_tag_info=IdTagInfo(parent_id_tag=request.id_tag))


async def echo_handler(
    _: CallContext, request: core_pb2.AuthorizeRequest
) -> core_pb2.AuthorizeResponse:
    return echo(request)


def tag_of(answer: call_pb2.Answer) -> str:
    return answer.response.authorize.id_tag_info.parent_id_tag


@asynccontextmanager
async def linked(
    handlers: Mapping[str, AnyHandler] | None = None,
    *,
    max_pending: int = 20_000,
    max_in_flight: int = 4000,
    service: FakeService | None = None,
) -> AsyncIterator[Link]:
    if service is None:
        service = FakeService(free_address(), handlers or {}, max_in_flight=max_in_flight)
    await service.start()
    channel = open_channel(service.address)
    client = CallClient("fake", channel, SystemClock(), max_pending=max_pending)
    running = asyncio.create_task(client.run())
    try:
        await until(lambda: client.connected)
        yield Link(client, service)
        assert not running.done(), "the client gave up"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await channel.close()
        await service.kill()


async def test_answers_find_their_calls_in_any_order() -> None:
    gate, tags = Gate(), [f"T{number}" for number in range(20)]
    async with linked({"authorize": gate}) as link:
        asked = link.asking(*tags)
        await until(lambda: len(gate.waiting) == 20)
        for tag, task in reversed(list(zip(tags, asked, strict=True))):
            gate.let(tag)
            assert tag_of(await task) == tag


async def test_calls_travel_in_batches() -> None:
    async with linked({"authorize": echo_handler}) as link:
        tags = [f"T{number}" for number in range(5000)]
        answers = await asyncio.gather(*link.asking(*tags, within_s=60))
        assert [tag_of(answer) for answer in answers] == tags
        assert len(link.service.messages) <= 5000 // 50
        assert max(link.service.messages) <= MAX_BATCH


async def test_many_large_calls_at_once_do_not_burst_a_message() -> None:
    async with linked({"authorize": echo_handler}) as link:
        calls = [a_call(f"T{number}", 60) for number in range(150)]
        for call in calls:
            call.raw_frame = "x" * 250_000
        answers = await asyncio.gather(*(link.client.call(call) for call in calls))
        assert [tag_of(answer) for answer in answers] == [f"T{number}" for number in range(150)]


async def test_unanswered_calls_are_sent_again_after_a_break() -> None:
    gate = Gate()
    async with linked({"authorize": gate}) as link:
        answered, *unanswered = link.asking("ANSWERED", "A", "B")
        await until(lambda: len(gate.waiting) == 3)
        gate.let("ANSWERED")
        await answered
        first = {call.request.authorize.id_tag: call.sequence for call in link.service.calls}
        await link.service.kill()
        await until(lambda: not link.client.connected)
        link.service.calls.clear()
        later = link.asking("C")
        gate.let("A", "B", "C")
        await link.service.start()
        assert [tag_of(await task) for task in unanswered + later] == ["A", "B", "C"]
        again = {call.request.authorize.id_tag: call.sequence for call in link.service.calls}
        assert again == {"A": first["A"], "B": first["B"], "C": max(first.values()) + 1}


async def test_service_that_restarts_under_load_costs_no_call() -> None:
    async with linked({"authorize": echo_handler}) as link:
        stopping = asyncio.Event()

        async def ask_on(name: str) -> int:
            asked = 0
            while not stopping.is_set():
                assert tag_of(await link.ask(f"{name}{asked}", within_s=30)) == f"{name}{asked}"
                asked += 1
            return asked

        loads = [asyncio.create_task(ask_on(f"L{number}-")) for number in range(100)]
        for end in (link.service.stop, link.service.kill) * 3:
            link.service.calls.clear()
            await until(lambda: len(link.service.calls) > 300)
            await end()
            await link.service.start()
        stopping.set()
        assert min(await asyncio.gather(*loads)) > 0


async def test_deadline_ends_a_call_and_its_late_answer_is_ignored() -> None:
    gate = Gate()
    async with linked({"authorize": gate}) as link:
        with pytest.raises(DeadlineExceeded):
            await link.ask("LATE", within_s=0.1)
        gate.let("LATE", "NEXT")
        assert tag_of(await link.ask("NEXT")) == "NEXT"


async def test_nothing_gathers_while_the_service_is_away() -> None:
    async with linked({"authorize": echo_handler}) as link:
        await link.service.kill()
        await until(lambda: not link.client.connected)
        failed = await asyncio.gather(*link.asking(*"ABCDEF", within_s=0.1), return_exceptions=True)
        assert {type(error) for error in failed} == {DeadlineExceeded}
        assert not link.client._unsent
        assert not link.client._pending
        await link.service.start()
        link.service.calls.clear()
        await link.ask("G")
        assert len(link.service.calls) == 1


async def test_full_client_refuses_and_recovers() -> None:
    gate = Gate()
    async with linked({"authorize": gate}, max_pending=2) as link:
        asked = link.asking("A", "B")
        await until(lambda: len(gate.waiting) == 2)
        refused: list[Outcome] = []
        link.client.send(a_call("C"), refused.append)
        assert not refused, "told before the method returned"
        with pytest.raises(QueueFull):
            await link.ask("C")
        assert [type(it) for it in refused] == [QueueFull]
        gate.let("A", "B", "C")
        await asyncio.gather(*asked)
        assert tag_of(await link.ask("C")) == "C"


def cannot_take(_: Outcome) -> None:
    raise ZeroDivisionError


async def test_caller_that_cannot_take_its_answer_costs_the_others_nothing() -> None:
    gate = Gate()
    async with linked({"authorize": gate}) as link:
        with capture_logs() as logs:
            link.client.send(a_call("A"), cannot_take)
            asked = link.asking("B")
            await until(lambda: len(gate.waiting) == 2)
            gate.let("A", "B")
            assert tag_of(await asyncio.wait_for(asked[0], 15)) == "B"
        assert gate.waiting == ["A", "B"], "the stream broke"
    assert [entry["event"] for entry in logs] == ["answer_not_taken"]


async def test_caller_that_cannot_take_its_deadline_costs_the_others_nothing() -> None:
    async with linked({"authorize": Gate()}) as link:
        with capture_logs() as logs:
            link.client.send(a_call("A", 0.1), cannot_take)
            for tag in "BC":
                with pytest.raises(DeadlineExceeded):
                    await asyncio.wait_for(link.ask(tag, within_s=0.1), 15)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "answer_not_taken"
    ]


async def test_drain_answers_what_was_read_and_takes_no_more() -> None:
    gate = Gate()
    async with linked({"authorize": gate}) as link:
        asked = link.asking("A", "B")
        await until(lambda: len(gate.waiting) == 2)
        draining = asyncio.create_task(link.service.drain())
        await asyncio.sleep(0)
        later = link.asking("LATER")
        gate.let("A", "B", "LATER")
        assert [tag_of(await task) for task in asked] == ["A", "B"]
        await draining
        async with open_channel(link.service.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call_pb2_grpc.CallServiceStub(channel).Exchange().read()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "LATER" not in gate.waiting
        await link.service.kill()
        await link.service.start()
        assert tag_of(await later[0]) == "LATER"


async def test_action_of_another_service_is_refused() -> None:
    async with linked({}) as link:
        refused = await link.ask("A")
        nothing = call_pb2.Call(expire_time=a_call("").expire_time)
        unknown = await link.client.call(nothing)
    assert [reason_of(item.error) for item in (refused, unknown)] == ["ACTION_NOT_SUPPORTED"] * 2


async def test_report_is_confirmed() -> None:
    async def unreadable(context: CallContext, _: call_pb2.UnreadableFrame) -> None:
        assert context.charge_point_id == "CP-1"

    async with linked({"unreadable_frame": unreadable}) as link:
        call = a_call("")
        call.unreadable_frame.reason = "no JSON"
        answer = await link.client.call(call)
    assert answer.WhichOneof("outcome") == "report_stored"


async def fails(_: CallContext, __: core_pb2.AuthorizeRequest) -> None:
    raise ZeroDivisionError("secret 42")


async def answers_something_else(
    _: CallContext, __: core_pb2.AuthorizeRequest
) -> core_pb2.HeartbeatResponse:
    return core_pb2.HeartbeatResponse()


@pytest.mark.parametrize("handler", [fails, answers_something_else])
async def test_defect_is_answered_and_logged_and_the_stream_lives(handler: Handler) -> None:
    with capture_logs() as logs:
        async with linked({"authorize": handler}) as link:
            answer = await link.ask("A")
            link.service.handlers["authorize"] = echo_handler
            again = await link.ask("B")
    assert answer.error.code == code_pb2.INTERNAL
    assert tag_of(again) == "B"
    assert "42" not in answer.error.message
    failed = [entry for entry in logs if entry["event"] == "call_failed"]
    assert [(entry["log_level"], entry["charge_point"]) for entry in failed] == [("error", "CP-1")]


async def test_call_is_tried_again_while_the_database_is_away() -> None:
    attempts: list[str] = []

    async def third_time(
        _: CallContext, request: core_pb2.AuthorizeRequest
    ) -> core_pb2.AuthorizeResponse:
        attempts.append(request.id_tag)
        if len(attempts) < 3:
            raise DatabaseUnavailable("Away.", retry_after=timedelta(seconds=0.05))
        return echo(request)

    async with linked({"authorize": third_time}) as link:
        assert tag_of(await link.ask("A")) == "A"
    assert len(attempts) == 3


async def test_retry_ends_before_the_call_expires() -> None:
    clock, attempts = FakeClock(datetime.now(UTC)), list[str]()

    async def never(_: CallContext, request: core_pb2.AuthorizeRequest) -> None:
        attempts.append(request.id_tag)
        clock.advance(timedelta(seconds=6))
        raise DatabaseUnavailable("Away.", retry_after=timedelta(seconds=0.2))

    service = FakeService(free_address(), {"authorize": never}, clock=clock)
    async with linked(service=service) as link:
        answer = await link.ask("A", within_s=15)
    assert reason_of(answer.error) == "DATABASE_UNAVAILABLE"
    assert attempts == ["A"] * 3  # after the third it has expired


async def test_error_that_waiting_does_not_mend_is_answered_at_once() -> None:
    attempts: list[str] = []

    async def refuses(_: CallContext, request: core_pb2.AuthorizeRequest) -> None:
        attempts.append(request.id_tag)
        raise PlatformError("No.")

    async with linked({"authorize": refuses}) as link:
        await link.ask("A")
    assert attempts == ["A"]


async def test_work_of_a_stream_is_bounded() -> None:
    gate, tags = Gate(), [f"T{number}" for number in range(50)]
    async with linked({"authorize": gate}, max_in_flight=4) as link:
        asked = link.asking(*tags)
        await until(lambda: len(gate.waiting) == 4)
        gate.let(tags[0])
        await until(lambda: len(gate.waiting) == 5)
        assert gate.waiting == tags[:5]
        gate.let(*tags)
        assert [tag_of(answer) for answer in await asyncio.gather(*asked)] == tags


async def test_stream_that_the_gateway_drops_leaves_no_noise() -> None:
    gate = Gate()
    service = FakeService(free_address(), {"authorize": gate})
    await service.start()
    with capture_logs() as logs:
        for _ in range(3):
            async with open_channel(service.address) as channel:
                client = CallClient("fake", channel, SystemClock())
                running = asyncio.create_task(client.run())
                asked = asyncio.create_task(client.call(a_call("A")))
                await until(lambda: bool(gate.waiting))
                gate.waiting.clear()
                for task in (running, asked):
                    task.cancel()
                await asyncio.gather(running, asked, return_exceptions=True)
        gate.let("A")
        await service.stop()
    assert [entry for entry in logs if entry["log_level"] in {"error", "critical"}] == []


async def test_channel_to_nowhere_waits_instead_of_failing() -> None:
    async with open_channel(free_address()) as channel:
        client = CallClient("nobody", channel, SystemClock())
        running = asyncio.create_task(client.run())
        with pytest.raises(DeadlineExceeded):
            await client.call(a_call("A", 0.2))
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert channel.get_state() is not grpc.ChannelConnectivity.READY
