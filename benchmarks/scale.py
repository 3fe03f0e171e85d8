"""How much a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The size of a run; every part of it is bounded in time and in count.

    Attributes:
        connections: Sockets that send load, for each server.
        rounds: Rounds for each server and action, in turns.
        seconds: Length of a round.
        warm_up_seconds: Length of a round before, which is not reported.
        most: Most messages of a round.
        idle: Connections that are opened to see what one costs in memory, and that then all come
            back at once; fewer where a process may not open so many files.
        command_pairs: Commands, and reads next to them, of the one client that waits for each.
        command_clients: REST clients that send commands side by side.
        command_seconds: How long they do.
        depth_sessions: Sessions that are generated, with a hundred meter values each.
        depth_calls: Times that each list and each single read is called, in depth and without.
    """

    connections: int = 200
    rounds: int = 3
    seconds: float = 1.5
    warm_up_seconds: float = 0.5
    most: int = 400_000
    idle: int = 5000
    command_pairs: int = 200
    command_clients: int = 16
    command_seconds: float = 5.0
    depth_sessions: int = 100_000
    depth_calls: int = 50
