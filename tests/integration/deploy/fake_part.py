"""Stands in for a service, the gateway or the fleet; a journal tells what it went through."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SOURCE = "from tests.integration.deploy.fake_part import main\n\nmain({name!r})\n"
NAMES = ("auth_service", "session_service", "device_service", "gateway", "simulator")


def install(folder: Path) -> None:
    """Make a module of every part, to be found before the real ones."""
    for name in NAMES:
        (folder / f"{name}.py").write_text(SOURCE.format(name=name), encoding="utf-8")


def main(name: str) -> None:
    """Behave like the part: serve until SIGTERM."""
    if sys.argv[1:] == ["migrate"]:
        note(name, "migrated")
        return
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    note(name, "started")
    if name == os.environ.get("FAKE_FAILS"):
        sys.exit("no luck today")
    server = serve_health(os.environ["CSMS_LISTEN"]) if name.endswith("_service") else None
    if name == "gateway":
        serve_http(os.environ["CSMS_LISTEN"])
    sys.stdout.write(f"{name} listens\n")
    stopped.wait()
    if server is not None:  # a server that nothing refers to stops by itself
        server.stop(0).wait()
    note(name, "stopped")


def note(name: str, event: str) -> None:
    """Append a line to the journal."""
    with Path(os.environ["FAKE_JOURNAL"]).open("a", encoding="utf-8") as journal:
        journal.write(f"{name} {event}\n")


def serve_health(address: str) -> grpc.Server:
    """Say SERVING."""
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    server.start()
    return server


def serve_http(address: str) -> None:
    """Answer every GET with what was asked for."""
    host, _, port = address.rpartition(":")
    server = HTTPServer((host, int(port)), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Echo(BaseHTTPRequestHandler):
    """Answers with the path that arrived."""

    def do_GET(self) -> None:  # the name is http.server's
        """Answer 200 with the path."""
        body = self.path.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""
