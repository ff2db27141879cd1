"""A live server, started or forked: its address, its output, its end, and its environment."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeAlias

import httpx
import psutil
import pytest

from quartapp.testing import LiveServer
from quartapp.testing.forkserver import ForkServer
from quartapp.testing.server import ServerFailedError, serve

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

StartServer: TypeAlias = Callable[..., LiveServer]


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer(["http.server"])
    yield server
    server.close()


@pytest.fixture(params=["started", "forked"])
def live_server(request: pytest.FixtureRequest, fork_server: ForkServer) -> StartServer:
    forks = request.param == "forked"
    return partial(LiveServer, fork_server=fork_server if forks else None)


def test_is_started_and_stopped_and_has_an_exit_code(live_server: StartServer) -> None:
    with live_server({}, ("-c", SERVE)) as server:
        assert httpx.get(server.url, timeout=60, trust_env=False).status_code == 200
        assert server.stop() == 7
    assert server.process.returncode == 7


def test_has_only_the_environment_it_is_given(
    live_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///the-developers-own.db")
    with live_server({"GIVEN": "1"}, ("-c", SERVE)) as server:
        seen = httpx.get(server.url, timeout=60, trust_env=False).json()
    assert (seen["GIVEN"], seen["PORT"], seen["PATH"]) == ("1", "0", os.environ["PATH"])
    assert "DATABASE_URL" not in seen


def test_output_that_is_no_utf_8_does_not_end_it(live_server: StartServer) -> None:
    with live_server({}, ("-c", SERVE)) as server:
        server.wait_for("caf\ufffd")
        assert httpx.get(server.url, timeout=60, trust_env=False).status_code == 200


def test_a_line_that_is_never_written_is_a_failure_with_the_output(
    live_server: StartServer,
) -> None:
    with live_server({}, ("-c", SERVE), timeout=60) as server:
        server.timeout = 0.1
        with pytest.raises(ServerFailedError, match=r"'never' was not written:\nRunning on http"):
            server.wait_for("never")
        server.timeout = 60


def test_a_line_is_not_awaited_from_a_server_that_has_ended(live_server: StartServer) -> None:
    with live_server({}, ("-c", SERVE), timeout=60) as server:
        server.process.terminate()
        began = time.monotonic()
        with pytest.raises(ServerFailedError, match=r"'never' was not written:\nRunning on http"):
            server.wait_for("never")
        assert time.monotonic() - began < 30


def test_one_that_ends_at_its_start_is_a_failure_with_the_output(live_server: StartServer) -> None:
    with (
        pytest.raises(ServerFailedError, match=r"ended with 3:\nno port"),
        live_server({}, ("-c", "print('no port', flush=True); raise SystemExit(3)")),
    ):
        pass


def test_one_that_never_serves_is_a_failure_and_leaves_no_process(live_server: StartServer) -> None:
    server = live_server({}, ("-c", "import time; time.sleep(600)"), timeout=1)
    with pytest.raises(ServerFailedError, match="does not answer"), server:
        pass
    assert not psutil.pid_exists(server.process.pid)


def test_the_end_of_the_block_ends_the_whole_group_of_processes(live_server: StartServer) -> None:
    with live_server({}, ("-c", STUBBORN)) as server:
        children = psutil.Process(server.process.pid).children()
        os.kill(server.process.pid, signal.SIGKILL)
    assert len(children) == 1
    deadline = time.monotonic() + 60
    while children[0].is_running() and children[0].status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_forked_server_runs_a_script_in_its_folder(
    fork_server: ForkServer, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text("URL = 'http://127.0.0.1:1'")
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, beside\n"
        "print(__name__, sys.argv[1:], os.getcwd(), os.getsid(0) == os.getpid())\n"
        "print('Running on', beside.URL, flush=True)\n"
        "sys.exit('its last words')"
    )
    command = (str(script), "--local")
    with LiveServer({}, command, cwd=tmp_path, fork_server=fork_server) as server:
        assert server.wait() == 1
    assert server.output.splitlines() == [
        f"__main__ ['--local'] {tmp_path} True",
        "Running on http://127.0.0.1:1",
        "its last words",
    ]


def test_a_forked_server_that_is_killed_has_the_signal_as_its_exit_code(
    fork_server: ForkServer,
) -> None:
    with LiveServer({}, ("-c", SERVE), fork_server=fork_server) as server:
        server.process.kill()
        assert server.wait() == -signal.SIGKILL


def test_a_forked_server_runs_a_module_of_its_folder(
    fork_server: ForkServer, tmp_path: Path
) -> None:
    (tmp_path / "served.py").write_text(
        "import sys\nprint('Running on http://127.0.0.1:1', __name__, sys.argv[1:], flush=True)"
    )
    command = ("-m", "served", "--local")
    with LiveServer({}, command, cwd=tmp_path, fork_server=fork_server) as server:
        assert server.wait() == 0
    assert server.output == "Running on http://127.0.0.1:1 __main__ ['--local']\n"


def test_a_suite_may_have_many_open_files(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(Path(os.devnull).open())
        server = ForkServer([])
        stack.callback(server.close)
        process = server.start(["-c", "raise SystemExit(3)"], {}, tmp_path)
        stack.callback(process.stdout.close)
        assert process.wait(60) == 3


def test_options_of_python_need_a_start(fork_server: ForkServer) -> None:
    with (
        pytest.raises(ValueError, match="-I is an option of Python"),
        LiveServer({}, ("-I", "script.py"), fork_server=fork_server),
    ):
        pass


def test_variables_of_python_need_a_start(fork_server: ForkServer) -> None:
    with (
        pytest.raises(ValueError, match="PYTHONUTF8 is read by Python itself"),
        LiveServer({"PYTHONUTF8": "1"}, ("-c", SERVE), fork_server=fork_server),
    ):
        pass


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
def test_any_application_is_served(tmp_path: Path, server: str) -> None:
    (tmp_path / "shop.py").write_text(
        "import os, quart\n"
        "def create_app():\n"
        "    app = quart.Quart('shop')\n"
        "    app.add_url_rule('/', view_func=lambda: os.environ['GREETING'])\n"
        "    return app\n"
    )
    with serve("shop:create_app()", server=server, cwd=tmp_path, GREETING="hello") as started:
        assert httpx.get(started.url, timeout=60, trust_env=False).text == "hello"
        assert started.stop() in (0, -signal.SIGTERM)


def test_an_unknown_server_is_refused() -> None:
    with pytest.raises(ValueError, match="server='waitress': expected one of hypercorn, uvicorn"):
        serve("shop:app", server="waitress")
