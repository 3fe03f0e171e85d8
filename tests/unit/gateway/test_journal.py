"""The frames of a charge point: how many are kept, who sees them, how they read."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.gateway.v1 import gateway_link_pb2 as pb
from gateway.frame_reader import FrameReader
from gateway.journal import Entry, Journal
from gateway.repair import Repairer
from gateway.watches import Watches
from ocpp16.schemas import Schemas

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


def an_entry(text: str, *, from_charge_point: bool = True, second: int = 0) -> Entry:
    return BEGIN + timedelta(seconds=second), from_charge_point, text, "c1"


def nothing() -> None:
    """Wake nobody."""


@pytest.fixture(scope="module")
def repairer() -> Repairer:
    return Repairer(Schemas())


def texts(journal: Journal, most: int = 1000) -> list[str]:
    with journal.watched("CP-1", nothing) as watch:
        return [text for _, _, text, _ in watch.take(most)[0]]


def test_last_frames_are_kept() -> None:
    journal = Journal(max_frames=3, max_bytes=10_000)
    with journal.tape("CP-1") as tape:
        for number in range(5):
            tape.record(an_entry(str(number)))
        assert texts(journal) == ["2", "3", "4"]


def test_bytes_are_bounded() -> None:
    journal = Journal(max_frames=1000, max_bytes=5000)
    with journal.tape("CP-1") as tape:
        for _ in range(100):
            tape.record(an_entry("x" * 1000))
        assert len(texts(journal)) == 4
        tape.record(an_entry("x" * 6000))
        assert texts(journal) == []
        tape.record(an_entry("small"))
        assert texts(journal) == ["small"]


def test_frames_go_with_the_last_connection() -> None:
    journal = Journal(10, 10_000)
    with journal.tape("CP-1") as first:
        with journal.tape("CP-1") as second:
            assert first is second
            second.record(an_entry("kept"))
        assert texts(journal) == ["kept"]
    assert texts(journal) == []


def test_watch_shows_what_was_kept_then_what_passes() -> None:
    journal, woken = Journal(10, 10_000), list[int]()
    with journal.watched("CP-1", lambda: woken.append(1)) as watch, journal.tape("CP-1") as tape:
        tape.record(an_entry("a"))
        tape.record(an_entry("b"))
        assert [text for _, _, text, _ in watch.take(1)[0]] == ["a"]
        assert [text for _, _, text, _ in watch.take(9)[0]] == ["b"]
        assert len(woken) == 2


def test_slow_watcher_loses_the_oldest_and_is_told_how_many() -> None:
    journal = Journal(10, 10_000)
    with journal.tape("CP-1") as tape, journal.watched("CP-1", nothing) as watch:
        for number in range(510):
            tape.record(an_entry(str(number)))
        entries, dropped = watch.take(1)
        assert ([text for _, _, text, _ in entries], dropped) == (["10"], 10)
        assert watch.take(1)[1] == 0


def test_answer_has_the_action_of_its_call(repairer: Repairer) -> None:
    reader = FrameReader(repairer)
    frames = [
        reader.read(an_entry('[2,"1","Heartbeat",{}]')),
        reader.read(an_entry('[2,"1","Reset",{"type":"Hard"}]', from_charge_point=False)),
        reader.read(an_entry('[3,"1",{"currentTime":"x"}]', from_charge_point=False)),
        reader.read(an_entry('[3,"1",{"status":"Accepted"}]')),
        reader.read(an_entry('[3,"1",{"status":"Accepted"}]')),
        reader.read(an_entry("nonsense")),
    ]
    assert [it.action for it in frames] == ["Heartbeat", "Reset", "Heartbeat", "Reset", "", ""]
    assert [it.from_charge_point for it in frames[:3]] == [True, False, False]


def test_repairs_are_named(repairer: Repairer) -> None:
    frame = FrameReader(repairer).read(an_entry('[2,"1","Authorize",{"idTag":12}]'))
    assert frame.repairs
    assert frame.text == '[2,"1","Authorize",{"idTag":12}]'


def test_secrets_are_masked(repairer: Repairer) -> None:
    text = '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"secret"}]'
    assert "secret" not in FrameReader(repairer).read(an_entry(text, from_charge_point=False)).text


def test_watches_take_turns_and_end(repairer: Repairer) -> None:
    journal = Journal(1000, 1_000_000)
    watches = Watches(journal, repairer, nothing)
    for name in ("CP-1", "CP-2"):
        watches.begin(pb.WatchFrames(watch_id=name, charge_point_id=name))
        with journal.tape(name) as tape:
            for _ in range(60):
                tape.record(an_entry("[]"))
    batches = [watches.next_batch() for _ in range(5)]
    told = [(it.watch_id, len(it.frames)) for it in batches if it]
    assert told == [("CP-1", 50), ("CP-2", 50), ("CP-1", 10), ("CP-2", 10)]
    watches.end("CP-1")
    watches.close()
    assert texts(journal) == []
