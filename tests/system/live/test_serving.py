"""The server as a process: start, stop, exit codes, workers, on both engines."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import StartServer
from quartapp.testing import LiveServer
from quartapp.testing.server import ServerFailedError

ROOT = Path(__file__).parents[3]
RUN_PY = str(ROOT / "run.py")
SERVE = str(ROOT / "tests" / "microblog" / "serve.py")


get = partial(httpx.get, timeout=60)


def test_serves_and_stops_cleanly(live_server: StartServer, each_database_url: str) -> None:
    migrate(each_database_url)
    with live_server(DATABASE_URL=each_database_url) as server:
        assert get(f"{server.url}/ready").json()["database"] == "ok"
        assert get(f"{server.url}/boom").status_code == 404
        assert server.stop(signal.SIGTERM) == 0
        assert server.output.count("Microblog startup") == 1


def test_files_are_served_whole(live_server: StartServer) -> None:
    with live_server() as server:
        first = get(f"{server.url}/static/app.css")
        known = {"If-None-Match": first.headers["ETag"]}
        again = get(f"{server.url}/static/app.css", headers=known)
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert server.stop() == 0
        assert "Traceback" not in server.output


def test_a_signal_at_the_very_start_stops_it_cleanly(live_server: StartServer) -> None:
    with live_server() as server:  # returns at the line "Running on"
        assert server.stop(signal.SIGTERM) == 0


def test_two_workers_serve_and_stop_cleanly(live_server: StartServer) -> None:
    with live_server(WORKERS="2") as server:
        assert get(f"{server.url}/ready").status_code == 200
        assert server.stop(signal.SIGINT) == 0


def test_the_hypercorn_command_serves_too(live_server: StartServer) -> None:
    with live_server("-m", "hypercorn", "--bind", "127.0.0.1:0", "quartapp:create_app()") as server:
        assert get(f"{server.url}/ready").status_code == 200


def test_a_request_under_way_is_finished_before_the_stop(live_server: StartServer) -> None:
    with live_server(SERVE, "boom") as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(get, f"{server.url}/slow?seconds=1")
        server.wait_for("The slow view begins")
        assert server.stop() == 0
        assert answer.result().text == "slept"


def test_a_port_in_use_is_one_sentence(live_server: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerFailedError) as caught, live_server(PORT=str(port)):
            pass
    assert "ended with 1" in str(caught.value)
    assert str(caught.value).splitlines()[1:] == [
        f"quartapp: port {port} is in use: stop the other server, or set PORT to a free one"
    ]


def test_a_bad_setting_is_one_sentence_and_another_code(live_server: StartServer) -> None:
    with pytest.raises(ServerFailedError) as caught, live_server(SECRET_KEY="short"):
        pass
    assert "ended with 2" in str(caught.value)
    assert "SECRET_KEY" in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_failing_start_is_not_a_success(live_server: StartServer, workers: str) -> None:
    with pytest.raises(ServerFailedError) as caught, live_server(SERVE, "failing", WORKERS=workers):
        pass
    assert "ended with 1" in str(caught.value)
    assert "cannot start" in str(caught.value)


def test_run_py_makes_what_is_missing(tmp_path: Path) -> None:
    environment = {"INSTANCE_PATH": str(tmp_path / "new"), "LOG_DIR": str(tmp_path / "logs")}
    with LiveServer(environment, (RUN_PY, "--local"), cwd=tmp_path) as server:
        assert get(f"{server.url}/ready").status_code == 200
    first = (tmp_path / "new" / "secret_key").read_text()
    with LiveServer(environment, (RUN_PY, "--local"), cwd=tmp_path) as server:
        assert get(f"{server.url}/ready").status_code == 200
    assert (tmp_path / "new" / "secret_key").read_text() == first


def test_forwarded_headers_count_only_when_told(live_server: StartServer) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    for hops, scheme in (("0", "http"), ("1", "https")):
        with live_server(SERVE, "boom", PROXY_HOPS=hops) as server:
            assert get(f"{server.url}/scheme", headers=headers).text == scheme


def test_a_worker_that_dies_is_replaced(live_server: StartServer) -> None:
    with live_server(SERVE, "boom", WORKERS="2") as server:
        # The worker that answers has told the master that it has started; a line about it in the
        # log comes before that.
        os.kill(int(get(f"{server.url}/pid").text), signal.SIGKILL)
        server.wait_for("is replaced")
        server.wait_for("Running on", 3)
        assert get(f"{server.url}/ready").status_code == 200
        assert server.stop() == 0


def test_workers_do_not_outlive_their_master(live_server: StartServer) -> None:
    with live_server(WORKERS="2") as server:
        workers = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        gone, alive = psutil.wait_procs(workers, timeout=60)
        assert gone
        assert not alive
