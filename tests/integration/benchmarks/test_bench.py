"""The benchmark, on a scale that says nothing about speed."""

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import run
from benchmarks.commands import CommandError, check
from benchmarks.platform import StorageError, Stored
from benchmarks.scale import Scale
from benchmarks.servers import OCPP, PICOWS, VOLTMESH, VOLTMESH_ENVOY, WEBSOCKETS

SERVERS = [PICOWS, WEBSOCKETS, OCPP, VOLTMESH, VOLTMESH_ENVOY]
SMALL = Scale(
    connections=4,
    rounds=1,
    seconds=20,
    warm_up_seconds=20,
    most=12,
    idle=8,
    command_pairs=6,
    command_clients=2,
    command_seconds=0.3,
    depth_sessions=1000,
    depth_calls=2,
)
MOST_ROUNDS = 2  # one to warm up, one to measure


@pytest.mark.timeout(300)  # it starts three platforms
async def test_a_run_compares_all_servers_and_finds_every_answer_stored(tmp_path: Path) -> None:
    told: list[str] = []
    results = await run(SMALL, tmp_path, told.append)
    # Through Envoy and past it: what was answered is what PostgreSQL was found to hold.
    assert results.stored == 2 * MOST_ROUNDS * SMALL.most
    assert [m.server for m in results.measured] == SERVERS * 2
    assert all(m.outcome.answered == SMALL.most for m in results.measured)
    assert results.fleet.storm.booted == SMALL.idle
    assert results.commands.command.count == results.commands.read.count == SMALL.command_pairs
    assert results.commands.throughput.completed >= SMALL.command_clients
    assert results.depth.history.meter_values == 100 * SMALL.depth_sessions
    assert all(read.deep.count == SMALL.depth_calls for read in results.depth.reads)
    assert not (tmp_path / "depth" / "postgres").exists()
    assert len(told) > len(results.measured)
    text = report.write(results, "python -m benchmarks", tmp_path / "results.md")
    assert (tmp_path / "results.md").read_text() == text
    assert text.count("reached") == 7
    for title in report.TITLES.values():
        assert f"| {title} |" in text


@pytest.mark.parametrize(
    "stored", [Stored(9, 100, 10), Stored(11, 110, 11), Stored(10, 99, 10), Stored(10, 100, 9)]
)
def test_an_answer_without_its_row_or_its_samples_fails_the_run(stored: Stored) -> None:
    Stored(10, 100, 10).check(answered=10)
    with pytest.raises(StorageError, match="10 MeterValues were answered"):
        stored.check(answered=10)


@pytest.mark.parametrize(
    ("received", "answered"),
    [(3, [1, 2]), (2, [1, 3]), (2, [1, 2, 2]), (1, [])],
    ids=["a frame twice", "an answer of another", "an answer twice", "no answer"],
)
def test_a_command_without_exactly_one_frame_fails_the_run(
    received: int, answered: list[int]
) -> None:
    check([2, 0], [[2, 1], []])
    with pytest.raises(CommandError, match=f"Charge point 1 received {received} commands"):
        check([0, received], [[], answered])
