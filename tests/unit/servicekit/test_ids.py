"""Time-ordered identifiers (RFC 9562, 5.7)."""

import time
import uuid

import pytest

from servicekit.ids import time_ordered_uuid


def test_layout_is_that_of_version_7() -> None:
    made = time_ordered_uuid()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_time_stands_in_front() -> None:
    before = time.time_ns() // 1_000_000
    made = time_ordered_uuid()
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_order_is_that_of_creation(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1_700_000_000_000_000_000, 1_700_000_000_100_000_000, 1_000_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(times))
    made = [time_ordered_uuid() for _ in range(100)]
    assert made == sorted(made)
    assert [str(item) for item in made] == sorted(str(item) for item in made)


def test_same_millisecond_makes_different_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    made = {time_ordered_uuid() for _ in range(10_000)}
    assert len(made) == 10_000
    assert {item.version for item in made} == {7}
    assert {item.variant for item in made} == {uuid.RFC_4122}
