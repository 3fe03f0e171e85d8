"""Calls that are handled together, over a real socket."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from google.rpc import code_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.testing import capture_logs

from csms.gateway.v1 import call_pb2
from csms.ocpp.v16 import core_pb2
from csms.ocpp.v16.types_pb2 import IdTagInfo
from servicekit.calls.server import AnyHandler, BatchHandler
from servicekit.errors import DatabaseUnavailable, PlatformError
from servicekit.status import reason_of
from servicekit.telemetry import Tracing
from tests.fakes.otlp import collecting
from tests.fakes.services import FakeService
from tests.integration.servicekit.test_calls import a_call, echo_handler, linked, tag_of
from tests.support.services import free_address
from tests.support.waiting import until

RESPONSE = core_pb2.AuthorizeResponse(id_tag_info=IdTagInfo(parent_id_tag="kept"))


class Shelf:
    """Keeps tags once it is open, and what it was given at a time."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failures: dict[str, list[Exception]] = {}

    def handler(self) -> BatchHandler[str]:
        return BatchHandler(self.read, self.keep, RESPONSE)

    @staticmethod
    def read(call: call_pb2.Call) -> str:
        tag = call.request.authorize.id_tag
        if tag == "UNREADABLE":
            raise ZeroDivisionError("secret 42")
        return tag

    async def keep(self, tags: Sequence[str]) -> Sequence[Exception | None]:
        self.batches.append(list(tags))
        await self.open.wait()
        return [self.failures[tag].pop(0) if self.failures.get(tag) else None for tag in tags]


async def test_calls_of_a_message_are_kept_together_and_answered_each() -> None:
    shelf = Shelf()
    shelf.open.clear()
    async with linked({"authorize": shelf.handler()}) as link:
        first = link.asking("A")
        await until(lambda: len(shelf.batches) == 1)
        later = link.asking(*"BCD")
        await until(lambda: len(shelf.batches) == 2)
        shelf.open.set()
        answers = await asyncio.gather(*first, *later)
    assert shelf.batches == [["A"], ["B", "C", "D"]]
    assert [tag_of(answer) for answer in answers] == ["kept"] * 4
    assert [answer.sequence for answer in answers] == [1, 2, 3, 4]


async def test_other_actions_of_a_message_are_handled_one_by_one() -> None:
    shelf = Shelf()
    handlers: dict[str, AnyHandler] = {"authorize": shelf.handler(), "heartbeat": heartbeat}
    async with linked(handlers) as link:
        call = a_call("")
        call.request.heartbeat.SetInParent()
        answers = await asyncio.gather(*link.asking("A", "B"), link.client.call(call))
    assert shelf.batches == [["A", "B"]]
    assert answers[2].response.HasField("heartbeat")


async def heartbeat(_: object, __: core_pb2.HeartbeatRequest) -> core_pb2.HeartbeatResponse:
    return core_pb2.HeartbeatResponse()


async def test_call_that_cannot_be_read_or_kept_fails_alone() -> None:
    shelf = Shelf()
    shelf.failures = {"REFUSED": [PlatformError("No.")], "DEFECT": [ValueError("secret 42")]}
    with capture_logs() as logs:
        async with linked({"authorize": shelf.handler()}) as link:
            tags = ("A", "UNREADABLE", "REFUSED", "DEFECT", "B")
            answers = await asyncio.gather(*link.asking(*tags))
    assert [answer.WhichOneof("outcome") for answer in answers] == [
        "response",
        "error",
        "error",
        "error",
        "response",
    ]
    assert answers[2].error.message == "No."
    assert [answers[at].error.code for at in (1, 3)] == [code_pb2.INTERNAL] * 2
    assert not any("42" in answer.error.message for answer in answers)
    assert [entry["event"] for entry in logs].count("call_failed") == 2


async def test_handler_that_fails_answers_all_and_the_stream_lives() -> None:
    async def fails(_: Sequence[str]) -> Sequence[Exception | None]:
        raise ZeroDivisionError("secret 42")

    async with linked({"authorize": BatchHandler(Shelf.read, fails, RESPONSE)}) as link:
        failed = await asyncio.gather(*link.asking("A", "B"))
        link.service.handlers["authorize"] = echo_handler
        again = await link.ask("C")
    assert [answer.error.code for answer in failed] == [code_pb2.INTERNAL] * 2
    assert tag_of(again) == "C"


async def test_only_what_the_database_refused_is_tried_again() -> None:
    away = [DatabaseUnavailable("Away.", retry_after=timedelta(seconds=0.05)) for _ in range(4)]
    shelf = Shelf()
    shelf.failures = {"A": [away[0], away[1]], "C": [away[2]], "D": [PlatformError("No.")]}
    async with linked({"authorize": shelf.handler()}) as link:
        answers = await asyncio.gather(*link.asking(*"ABCD"))
    assert shelf.batches == [["A", "B", "C", "D"], ["A", "C"], ["A"]]
    assert [answer.WhichOneof("outcome") for answer in answers] == [*["response"] * 3, "error"]


async def test_what_is_kept_is_answered_while_the_rest_waits_for_the_database() -> None:
    shelf = Shelf()
    shelf.failures = {"A": [DatabaseUnavailable("Away.", retry_after=timedelta(seconds=5))]}
    async with linked({"authorize": shelf.handler()}) as link:
        waiting, kept = link.asking(*"AB")
        assert tag_of(await kept) == "kept"
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_retry_ends_before_a_call_expires() -> None:
    shelf = Shelf()
    pause = timedelta(seconds=0.2)
    shelf.failures = {
        tag: [DatabaseUnavailable("Away.", retry_after=pause) for _ in range(99)] for tag in "AB"
    }
    async with linked({"authorize": shelf.handler()}) as link:
        short, long = link.asking("A", within_s=2.5) + link.asking("B", within_s=60)
        assert reason_of((await short).error) == "DATABASE_UNAVAILABLE"
        shelf.failures.clear()
        assert tag_of(await long) == "kept"


async def test_work_of_a_stream_is_bounded() -> None:
    shelf, tags = Shelf(), [f"T{number}" for number in range(50)]
    shelf.open.clear()
    async with linked({"authorize": shelf.handler()}, max_in_flight=4) as link:
        asked = link.asking(*tags)
        await until(lambda: bool(shelf.batches))
        shelf.open.set()
        await asyncio.gather(*asked)
    assert [tag for batch in shelf.batches for tag in batch] == tags
    assert max(len(batch) for batch in shelf.batches) <= 4


async def test_drain_answers_what_was_read() -> None:
    shelf = Shelf()
    shelf.open.clear()
    async with linked({"authorize": shelf.handler()}) as link:
        asked = link.asking(*"AB")
        await until(lambda: bool(shelf.batches))
        draining = asyncio.create_task(link.service.drain())
        shelf.open.set()
        assert [tag_of(answer) for answer in await asyncio.gather(*asked)] == ["kept"] * 2
        await draining


async def test_traced_calls_have_their_spans() -> None:
    traces = {"A": f"00-{1:032x}-{1:016x}-01", "B": f"00-{2:032x}-{2:016x}-01", "C": ""}
    async with collecting(endpoint := free_address()) as collector:
        tracing = Tracing("fake", f"http://{endpoint}")
        service = FakeService(free_address(), {"authorize": Shelf().handler()}, tracing=tracing)
        async with linked(service=service) as link:
            calls = [a_call(tag) for tag in traces]
            for call in calls:
                call.traceparent = traces[call.request.authorize.id_tag]
            await asyncio.gather(*(link.client.call(call) for call in calls))
        await asyncio.to_thread(tracing.close)
    spans = [span for _, span in collector.spans if span.name == "authorize"]
    assert {span.parent_span_id.hex() for span in spans} == {f"{1:016x}", f"{2:016x}"}
    assert {span.kind for span in spans} == {Span.SPAN_KIND_SERVER}
