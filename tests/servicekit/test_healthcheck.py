"""The command with which a container's engine asks whether the service in it is well."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ocop.home import free_port


class Ready(BaseHTTPRequestHandler):
    """Live, but not ready."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.end_headers()
        self.wfile.write(b'{"missing":["database"]}')

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "servicekit.healthcheck", *arguments]
    environment = {"OCOP_HTTP_PORT": str(port), "PYTHONPATH": "."}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_live_and_ready_are_asked_apart(port: int) -> None:
    assert ask(port).returncode == 0
    assert ask(port, "live").returncode == 0
    ready = ask(port, "ready")
    assert (ready.returncode, "database" in ready.stdout) == (1, True)


def test_nobody_answers() -> None:
    assert ask(free_port()).returncode == 1


def test_another_question_is_a_mistake(port: int) -> None:
    assert ask(port, "well").returncode == 2
