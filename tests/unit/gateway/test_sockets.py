"""Which socket is the charge point, and how fast it may send."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from csms.gateway.v1.gateway_link_pb2 import CommandResult, DeliverCommand
from gateway.connections import Connection, Connections, Opened
from gateway.rate_limit import RateLimit


class Socket:
    def __init__(self) -> None:
        self.told = 0
        self.stays = True

    def end_after_grace(self) -> None:
        self.told += 1
        self.stays = False

    def stay(self) -> None:
        self.stays = True

    async def deliver(
        self, command: DeliverCommand, on_sent: Callable[[datetime], None]
    ) -> CommandResult:
        on_sent(datetime.now(UTC))
        return CommandResult(command_id=command.command_id)


def a_connection(number: int, charge_point: str = "CP-1") -> Connection:
    time = datetime(2026, 1, 2, tzinfo=UTC)
    return Connection(Opened(charge_point, f"c{number}", "", "ocpp1.6", time), Socket())


def told(connection: Connection) -> int:
    assert isinstance(connection.socket, Socket)
    return connection.socket.told


def stays(connection: Connection) -> bool:
    assert isinstance(connection.socket, Socket)
    return connection.socket.stays


def test_newest_connection_is_the_charge_point() -> None:
    connections, older, newer = Connections(10), a_connection(1), a_connection(2)
    connections.opened(older)
    connections.opened(newer)
    assert connections.newest("CP-1") is newer
    assert (told(older), told(newer), connections.count) == (1, 0, 2)


def test_late_close_of_an_older_connection_changes_nothing() -> None:
    connections, older, newer = Connections(10), a_connection(1), a_connection(2)
    connections.opened(older)
    connections.opened(newer)
    connections.closed(older)
    assert connections.newest("CP-1") is newer
    connections.closed(newer)
    connections.closed(newer)
    assert connections.newest("CP-1") is None
    assert connections.count == 0


def test_older_connection_counts_again_when_the_newest_ends() -> None:
    connections, older, newer = Connections(10), a_connection(1), a_connection(2)
    connections.opened(older)
    connections.opened(newer)
    assert not stays(older)
    assert connections.closed(newer) is older
    assert connections.newest("CP-1") is older
    assert stays(older)
    assert connections.closed(older) is None


def test_each_older_connection_is_told_once() -> None:
    connections, opened = Connections(10), [a_connection(number) for number in range(3)]
    for connection in opened:
        connections.opened(connection)
    assert [told(connection) for connection in opened] == [1, 1, 0]


def test_charge_points_are_independent() -> None:
    connections, one, other = Connections(10), a_connection(1), a_connection(2, "CP-2")
    connections.opened(one)
    connections.opened(other)
    connections.closed(one)
    assert connections.newest("CP-2") is other
    assert told(one) == told(other) == 0


def test_limit_counts_sockets_and_not_charge_points() -> None:
    connections, older, newer = Connections(2), a_connection(1), a_connection(2)
    found = []
    for change, connection in (
        (connections.opened, older),
        (connections.opened, newer),
        (connections.closed, older),
    ):
        change(connection)
        found.append(connections.full)
    assert found == [False, True, False]


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_burst_of_a_second_passes_at_once() -> None:
    limit = RateLimit(10, Time())
    assert [limit.delay() for _ in range(10)] == pytest.approx([0] * 10, abs=1e-6)
    assert limit.delay() == pytest.approx(0.1)


def test_rate_holds_over_time() -> None:
    time = Time()
    limit = RateLimit(10, time)
    for _ in range(1000):
        time.now += limit.delay()
    assert time.now - 1000 == pytest.approx(99, abs=0.2)


def test_pause_earns_no_more_than_one_burst() -> None:
    time = Time()
    limit = RateLimit(10, time)
    limit.delay()
    time.now += 3600
    delays = [limit.delay() for _ in range(20)]
    assert sum(delay < 1e-6 for delay in delays) == 10
