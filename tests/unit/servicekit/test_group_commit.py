"""Group commit: batches form while a commit runs, and items fail alone."""

import asyncio
from collections.abc import Sequence

import pytest

from servicekit.errors import DatabaseUnavailable, QueueFull
from servicekit.group_commit import GroupCommit


class Store:
    """Commits texts when it is let, and counts."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.away = False

    async def commit(self, items: Sequence[str]) -> Sequence[str]:
        self.batches.append(list(items))
        await self.open.wait()
        if self.away:
            raise DatabaseUnavailable("The database is away.")
        if any(item.startswith("poison") for item in items):
            raise ValueError("poison")
        return [item.upper() for item in items]


async def started(*submitted: "asyncio.Task[str]") -> None:
    """Let tasks run until each waits."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in submitted)


def submit(group: GroupCommit[str, str], *items: str) -> list["asyncio.Task[str]"]:
    return [asyncio.create_task(group.submit(item)) for item in items]


async def test_lone_item_is_committed_at_once() -> None:
    store = Store()
    assert await GroupCommit(store.commit).submit("a") == "A"
    assert store.batches == [["a"]]


async def test_what_queues_during_a_commit_is_the_next_commit() -> None:
    store = Store()
    store.open.clear()
    group = GroupCommit(store.commit)
    first = submit(group, "a")
    await started(*first)
    later = submit(group, "b", "c", "d")
    await started(*later)
    store.open.set()
    assert await asyncio.gather(*first, *later) == ["A", "B", "C", "D"]
    assert store.batches == [["a"], ["b", "c", "d"]]


async def test_batch_has_a_limit() -> None:
    store = Store()
    group = GroupCommit(store.commit, max_batch=2)
    assert await asyncio.gather(*submit(group, *"abcde")) == list("ABCDE")
    assert store.batches == [["a", "b"], ["c", "d"], ["e"]]


async def test_item_that_cannot_be_stored_fails_alone() -> None:
    store = Store()
    group = GroupCommit(store.commit)
    items = [f"i{number}" for number in range(64)]
    items[37] = "poison"
    results = await asyncio.gather(*submit(group, *items), return_exceptions=True)
    failed = results.pop(37)
    assert isinstance(failed, ValueError)
    assert results == [item.upper() for item in items if item != "poison"]


async def test_one_bad_item_costs_the_others_few_commits() -> None:
    store = Store()
    items = ["poison", *(f"i{number}" for number in range(511))]
    group = GroupCommit(store.commit, max_batch=512)
    await asyncio.gather(*submit(group, *items), return_exceptions=True)
    assert len(store.batches) == 19  # the batch, then two halves at each of nine levels


async def test_outage_fails_the_batch_at_once() -> None:
    store = Store()
    store.away = True
    group = GroupCommit(store.commit)
    results = await asyncio.gather(*submit(group, *"abc"), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * 3
    assert store.batches == [["a", "b", "c"]]
    store.away = False
    assert await group.submit("d") == "D"


async def test_wrong_number_of_results_leaves_nobody_waiting() -> None:
    async def commit(items: Sequence[str]) -> Sequence[str]:
        return list(items)[1:]

    group = GroupCommit(commit)
    async with asyncio.timeout(5):
        results = await asyncio.gather(*submit(group, *"ab"), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 2


async def test_full_queue_refuses_and_recovers() -> None:
    store = Store()
    store.open.clear()
    group = GroupCommit(store.commit, max_queued=2)
    waiting = submit(group, "a")
    await started(*waiting)
    waiting += submit(group, "b", "c")
    await started(*waiting)
    with pytest.raises(QueueFull):
        await group.submit("d")
    store.open.set()
    assert await asyncio.gather(*waiting) == ["A", "B", "C"]
    assert await group.submit("d") == "D"


async def test_item_is_stored_though_nobody_waits_for_it() -> None:
    store = Store()
    store.open.clear()
    group = GroupCommit(store.commit)
    first = submit(group, "a")
    await started(*first)
    abandoned, kept = submit(group, "b", "c")
    await started(abandoned, kept)
    abandoned.cancel()
    store.open.set()
    assert await kept == "C"
    assert store.batches == [["a"], ["b", "c"]]


async def test_close_waits_for_all_results() -> None:
    store = Store()
    store.open.clear()
    group = GroupCommit(store.commit, max_batch=1)
    submitted = submit(group, "a", "b")
    await started(*submitted)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    assert not closing.done()
    store.open.set()
    await closing
    assert store.batches == [["a"], ["b"]]
    assert await asyncio.gather(*submitted) == ["A", "B"]


async def test_closing_that_is_given_up_stops_no_commit() -> None:
    store = Store()
    store.open.clear()
    group = GroupCommit(store.commit)
    (submitted,) = submit(group, "a")
    await started(submitted)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await group.close()
    store.open.set()
    assert await submitted == "A"


async def test_close_of_an_idle_group_returns() -> None:
    await GroupCommit(Store().commit).close()


async def test_items_that_come_together_are_settled_together() -> None:
    store = Store()
    store.open.clear()
    group = GroupCommit(store.commit, max_batch=4)
    first = submit(group, "a")
    await started(*first)
    together = [asyncio.create_task(group.submit_all(items)) for items in ("bcd", "ef", "", "g")]
    await asyncio.sleep(0)
    store.open.set()
    assert await asyncio.gather(*together) == [["B", "C", "D"], ["E", "F"], [], ["G"]]
    assert store.batches == [["a"], ["b", "c", "d"], ["e", "f", "g"]]


async def test_more_than_a_batch_may_come_together() -> None:
    store = Store()
    assert await GroupCommit(store.commit, max_batch=2).submit_all("abc") == ["A", "B", "C"]
    assert store.batches == [["a", "b", "c"]]


async def test_each_of_many_has_its_own_outcome() -> None:
    store = Store()
    outcomes = await GroupCommit(store.commit).submit_all(["a", "poison", "b", "poison 2"])
    assert [type(outcome) for outcome in outcomes] == [str, ValueError, str, ValueError]


async def test_room_of_the_queue_is_counted_by_items() -> None:
    store = Store()
    store.open.clear()
    group = GroupCommit(store.commit, max_queued=3)
    waiting = [asyncio.create_task(group.submit_all("a"))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(group.submit_all("bcd"))]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await group.submit_all("e")
    store.open.set()
    assert await asyncio.gather(*waiting) == [["A"], ["B", "C", "D"]]
    for _ in range(3):
        assert await group.submit_all("ef") == ["E", "F"]
