"""What the benchmark generates, and what it makes of an answer that is not as it should be."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from benchmarks.depth import PAGE, DepthError, Reader
from benchmarks.history import VALUES_EACH, History, generate
from benchmarks.rest import Rest

HISTORY = History(
    end=datetime(2003, 2, 11, tzinfo=UTC),
    months=3,
    sessions=2250,  # so many in a month that some begin in its last hours
    charge_points=40,
    tags=50,
    running=6,
    entries=7,
)
MONTHS = ["meter_values_2002_11", "meter_values_2002_12", "meter_values_2003_01"]


def test_a_history_fills_its_months_and_nothing_else(database_url: str) -> None:
    assert list(generate(database_url, HISTORY)) == [75_000, 150_000, 225_000]
    with psycopg.connect(database_url, options="-c search_path=session") as connection:

        def query(text: str) -> list[tuple[Any, ...]]:
            return connection.execute(text.encode()).fetchall()

        by_month = "SELECT tableoid::regclass::text, count(*) FROM meter_values GROUP BY 1"
        assert dict(query(by_month)) == dict.fromkeys(MONTHS, 750 * VALUES_EACH)
        assert query("SELECT count(*), count(stop_time) FROM sessions") == [(2250, 2244)]
        strangers = (
            "SELECT count(*) FROM meter_values AS m LEFT JOIN sessions AS s USING (session_id)"
            " WHERE s.charge_point_id IS DISTINCT FROM m.charge_point_id"
            " OR m.sample_time NOT BETWEEN s.start_time AND coalesce(s.stop_time, 'infinity')"
        )
        assert query(strangers) == [(0,)]
        assert query("SELECT count(*) FROM quarantine") == [(7,)]
        indexes = (
            "SELECT count(DISTINCT i.indexrelid), bool_and(i.indisvalid) FROM pg_index AS i"
            " WHERE i.indrelid::regclass::text = ANY (%s)"
        )
        (found,) = connection.execute(indexes.encode(), [MONTHS]).fetchall()
        assert found == (2 * len(MONTHS), True)


def reader(patch: pytest.MonkeyPatch, status: int, rows: int) -> Reader:
    """Return a reader that gets the same answer to everything."""
    answer = status, {"sessions": [{}] * rows, "nextPageToken": "next"}
    patch.setattr(Rest, "call", lambda *_: answer)
    return Reader(Rest("http://127.0.0.1:1"), HISTORY)


def test_a_read_that_fails_or_is_not_full_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = reader(monkeypatch, 200, PAGE)
    full.time("sessions", "/v1/sessions?pageSize=20")
    full.time("a session", "/v1/sessions/1")
    assert {name: each.count for name, each in full.latencies().items()} == {
        "sessions": 1,
        "a session": 1,
    }
    with pytest.raises(DepthError, match="20 rows"):
        reader(monkeypatch, 200, PAGE - 1).time("sessions", "/v1/sessions?pageSize=20")
    with pytest.raises(DepthError, match="answered 503"):
        reader(monkeypatch, 503, PAGE)
