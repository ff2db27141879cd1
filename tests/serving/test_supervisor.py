"""The socket and the messages of systemd, with a test in its place."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from quartapp.serving import server, supervisor
from quartapp.serving.settings import ServingSettings
from tests.serving.deployed import PROGRAM, Site, until

# What systemd does between fork and exec.
ACTIVATE = """
import os, sys
os.dup2({}, 3)
os.environ |= {{"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}}
os.execv(sys.executable, [sys.executable, "program.py"])
"""


class Supervisor:
    """Listens to notifications, and reads them in their order."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.settimeout(60)

    def next(self) -> dict[str, str]:
        text = self.socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path / "notify")
    with found.socket:
        yield found


def test_without_a_supervisor_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC"):
        monkeypatch.delenv(name, raising=False)
    supervisor.notify("READY=1")
    assert supervisor.inherited_socket() is None
    assert supervisor.watchdog_interval() is None


def test_a_supervisor_that_is_gone_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    supervisor.notify("READY=1")


def test_a_reload_is_announced_with_the_time_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch, systemd: Supervisor
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    supervisor.notify_reloading()
    told = systemd.next()
    assert told["RELOADING"] == "1"
    assert int(told["MONOTONIC_USEC"]) > 1_000_000


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("20000000", "own", 10.0), ("20000000", "", 10.0), ("20000000", "1", None), ("0", "", None)],
)
def test_the_watchdog_gets_a_sign_in_half_its_time(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, seconds: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert supervisor.watchdog_interval() == seconds


def test_sockets_for_another_process_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert supervisor.inherited_socket() is None


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        ("2", "the supervisor passed 2 sockets: expected one"),
        (
            "1",
            "the supervisor passed a socket of another kind (AF_UNIX, SOCK_STREAM): expected TCP",
        ),
    ],
)
def test_what_cannot_be_served_on_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], count: str, reason: str
) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as passed:
        monkeypatch.setattr(supervisor, "_FIRST", os.dup(passed.fileno()))
        monkeypatch.setenv("LISTEN_FDS", count)
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        assert server.run(dict, ServingSettings(port=0)) == 2
    assert capsys.readouterr().err == f"quartapp: {reason}\n"
    if count == "2":
        os.close(supervisor._FIRST)
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.slow
def test_a_restart_with_the_supervisors_socket_refuses_nobody(
    tmp_path: Path, systemd: Supervisor
) -> None:
    site = Site(tmp_path)
    site.configure(PORT=1, GRACEFUL_TIMEOUT=2, SERVER="uvicorn")
    site.deploy("one")
    (tmp_path / "program.py").write_text(PROGRAM)
    failures: list[object] = []
    answered: list[str] = []
    ends = threading.Event()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def start() -> subprocess.Popen[bytes]:
            handle = listener.fileno()
            return subprocess.Popen(
                [sys.executable, "-c", ACTIVATE.format(handle)],
                cwd=tmp_path,
                env={**os.environ, "NOTIFY_SOCKET": systemd.address, "PYTHONPATH": os.getcwd()},
                pass_fds=[handle],
            )

        def ask() -> None:
            while not ends.is_set():
                connection = HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    connection.request("GET", "/")
                    answered.append(json.loads(connection.getresponse().read())["version"])
                except (OSError, HTTPException) as error:
                    failures.append(error)
                connection.close()

        process = start()
        asking = threading.Thread(target=ask)
        try:
            assert systemd.next() == {"READY": "1"}
            asking.start()
            until(lambda: "one" in answered)
            site.deploy("two")
            process.send_signal(signal.SIGTERM)
            assert systemd.next() == {"STOPPING": "1"}
            assert process.wait(60) == 0
            process = start()
            assert systemd.next() == {"READY": "1"}
            until(lambda: "two" in answered)
        finally:
            ends.set()
            with suppress(RuntimeError):
                asking.join()
            process.terminate()
            process.wait(60)
    assert failures == []
