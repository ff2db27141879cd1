"""A live server: its address, its output, its end, and the environment that it gets."""

import os
import signal
import time

import httpx
import psutil
import pytest

from quartapp.testing import LiveServer
from quartapp.testing.server import ServerFailedError

pytestmark = pytest.mark.slow  # each starts a process

SERVE = """
import http.server, json, os, signal, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(f"Running on http://127.0.0.1:{server.server_port} (CTRL + C to quit)", flush=True)
sys.stdout.buffer.write(b"caf\\xe9\\n")
sys.stdout.flush()
server.serve_forever()
"""

STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("Running on http://127.0.0.1:1", flush=True)
time.sleep(600)
"""


def test_is_started_and_stopped_and_has_an_exit_code() -> None:
    with LiveServer({}, ("-c", SERVE)) as server:
        assert httpx.get(server.url, timeout=60, trust_env=False).status_code == 200
        assert server.stop() == 7
    assert server.process.returncode == 7


def test_has_only_the_environment_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///the-developers-own.db")
    with LiveServer({"GIVEN": "1"}, ("-c", SERVE)) as server:
        seen = httpx.get(server.url, timeout=60, trust_env=False).json()
    assert (seen["GIVEN"], seen["PORT"], seen["PATH"]) == ("1", "0", os.environ["PATH"])
    assert "DATABASE_URL" not in seen


def test_output_that_is_no_utf_8_does_not_end_it() -> None:
    with LiveServer({}, ("-c", SERVE)) as server:
        server.wait_for("caf\ufffd")


def test_a_line_that_is_never_written_is_a_failure_with_the_output() -> None:
    with LiveServer({}, ("-c", SERVE), timeout=60) as server:
        server.timeout = 0.1
        with pytest.raises(ServerFailedError, match=r"'never' was not written:\nRunning on http"):
            server.wait_for("never")
        server.timeout = 60


def test_one_that_ends_at_its_start_is_a_failure_with_the_output() -> None:
    with (
        pytest.raises(ServerFailedError, match=r"ended with 3:\nno port"),
        LiveServer({}, ("-c", "print('no port', flush=True); raise SystemExit(3)")),
    ):
        pass


def test_one_that_never_serves_is_a_failure_and_leaves_no_process() -> None:
    server = LiveServer({}, ("-c", "import time; time.sleep(600)"), timeout=1)
    with pytest.raises(ServerFailedError, match="does not answer"), server:
        pass
    assert not psutil.pid_exists(server.process.pid)


def test_the_end_of_the_block_ends_the_whole_group_of_processes() -> None:
    with LiveServer({}, ("-c", STUBBORN)) as server:
        children = psutil.Process(server.process.pid).children()
        os.kill(server.process.pid, signal.SIGKILL)
    assert len(children) == 1
    deadline = time.monotonic() + 60
    while children[0].is_running() and children[0].status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
