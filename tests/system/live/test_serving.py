"""The server as a process: start, stop, exit codes, workers, on both engines."""

import json
import signal
import socket
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import make_url

from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import StartServer
from quartapp.testing import LiveServer
from quartapp.testing.server import ServerFailedError

ROOT = Path(__file__).parents[3]
RUN_PY = str(ROOT / "run.py")


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
def test_a_reload_that_fails_is_counted_and_will_be_mailed(
    live_server: StartServer, tmp_path: Path, database_url: str, workers: str
) -> None:
    mails = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": "1", "ADMINS": "ada@example.com"}
    with live_server(WORKERS=workers, **mails) as server:
        server.wait_for("Running on", int(workers))
        (tmp_path / ".env").write_text("REQUEST_TIMEOUT=soon\n", "utf-8")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("quartapp: the reload failed, and the processes that were serving go on: ")
        assert get(f"{server.url}/ready").status_code == 200
        assert server.stop() == 0
        assert "REQUEST_TIMEOUT" in server.output
    with closing(sqlite3.connect(make_url(database_url).database or "")) as database:
        query = "SELECT title, count, alert_state FROM error_groups"
        [(title, count, alert)] = database.execute(query)
    assert title.startswith("A reload failed, and the processes that were serving go on")
    assert (count, json.loads(alert)["waiting"]) == (1, "new")


def test_run_py_makes_what_is_missing(tmp_path: Path) -> None:
    environment = {"INSTANCE_PATH": str(tmp_path / "new"), "LOG_DIR": str(tmp_path / "logs")}
    with LiveServer(environment, (RUN_PY, "--local"), cwd=tmp_path) as server:
        assert get(f"{server.url}/ready").status_code == 200
    first = (tmp_path / "new" / "secret_key").read_text()
    with LiveServer(environment, (RUN_PY, "--local"), cwd=tmp_path) as server:
        assert get(f"{server.url}/ready").status_code == 200
    assert (tmp_path / "new" / "secret_key").read_text() == first
