import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from simulator.outbox import UNKNOWN_TRANSACTION, Message, Outbox, Refused, Transaction, Unanswered

START_ANSWER = {"transaction_id": 7, "id_tag_info": {"status": "Accepted"}}


class Central:
    """A central system that fails as it is told before it answers."""

    def __init__(self, *failures: Exception, answer: dict[str, Any] | None = None) -> None:
        self.received: list[tuple[str, Mapping[str, Any]]] = []
        self._failures, self._answer = list(failures), answer or START_ANSWER

    async def call(self, action: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        self.received.append((action, dict(payload)))
        if self._failures:
            raise self._failures.pop(0)
        return self._answer


def an_outbox(size: int = 10) -> Outbox:
    return Outbox(size, attempts=lambda: 2, retry_interval_s=lambda: 0)


@asynccontextmanager
async def delivering(outbox: Outbox, call: Callable[..., Any]) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.deliver(call))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def delivered(outbox: Outbox) -> None:
    async with asyncio.timeout(5):
        await outbox.empty.wait()


def put_all(outbox: Outbox, transaction: Transaction) -> None:
    outbox.put(Message("StartTransaction", transaction, {"meter_start": 1}))
    outbox.put(Message("MeterValues", transaction, {"meter_value": []}))
    outbox.put(Message("StopTransaction", transaction, {"meter_stop": 2}))


async def test_messages_go_out_in_order_with_the_id_that_the_start_was_given() -> None:
    outbox, central = an_outbox(), Central()
    put_all(outbox, Transaction())
    async with delivering(outbox, central.call):
        await delivered(outbox)
    assert central.received == [
        ("StartTransaction", {"meter_start": 1}),
        ("MeterValues", {"meter_value": [], "transaction_id": 7}),
        ("StopTransaction", {"meter_stop": 2, "transaction_id": 7}),
    ]


async def test_an_unanswered_message_is_repeated_unchanged_before_the_next() -> None:
    outbox, central = an_outbox(), Central(*[Unanswered("time-out")] * 5)
    put_all(outbox, Transaction())
    async with delivering(outbox, central.call):
        await delivered(outbox)
    assert central.received[:6] == [("StartTransaction", {"meter_start": 1})] * 6
    assert [action for action, _ in central.received[6:]] == ["MeterValues", "StopTransaction"]


async def test_what_was_on_its_way_when_the_line_dropped_is_sent_on_the_next_line() -> None:
    outbox = an_outbox()
    arrived = asyncio.Event()

    async def silent(_action: str, _payload: Mapping[str, Any]) -> dict[str, Any]:
        arrived.set()
        await asyncio.Event().wait()
        return {}

    put_all(outbox, Transaction())
    async with delivering(outbox, silent):
        await arrived.wait()
    central = Central()
    async with delivering(outbox, central.call):
        await delivered(outbox)
    assert [action for action, _ in central.received] == [
        "StartTransaction",
        "MeterValues",
        "StopTransaction",
    ]


async def test_a_start_that_is_refused_for_good_leaves_its_stop_without_an_id() -> None:
    outbox, central = an_outbox(), Central(Refused("no"), Refused("no"))
    transaction = Transaction()
    put_all(outbox, transaction)
    async with delivering(outbox, central.call):
        await delivered(outbox)
    assert transaction.answered.is_set()
    assert [action for action, _ in central.received].count("StartTransaction") == 2
    assert central.received[-1][1]["transaction_id"] == UNKNOWN_TRANSACTION


async def test_an_id_tag_that_is_not_accepted_marks_the_transaction() -> None:
    answer = {"transaction_id": 8, "id_tag_info": {"status": "Blocked"}}
    outbox, transaction = an_outbox(), Transaction()
    outbox.put(Message("StartTransaction", transaction, {}))
    async with delivering(outbox, Central(answer=answer).call):
        await delivered(outbox)
    assert transaction.id == 8
    assert not transaction.accepted


async def test_a_full_outbox_gives_up_its_oldest_meter_values_and_nothing_else() -> None:
    outbox, central, transaction = an_outbox(size=3), Central(), Transaction()
    outbox.put(Message("StartTransaction", transaction, {}))
    for number in range(5):
        outbox.put(Message("MeterValues", transaction, {"number": number}))
    outbox.put(Message("StopTransaction", transaction, {}))
    assert not outbox.room
    async with delivering(outbox, central.call):
        await delivered(outbox)
    assert [(action, payload.get("number")) for action, payload in central.received] == [
        ("StartTransaction", None),
        ("MeterValues", 4),
        ("StopTransaction", None),
    ]
    assert outbox.room
