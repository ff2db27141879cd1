"""A reload replaces the processes of a server one by one, and no request fails."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import psutil
import pytest

from quartapp.serving.status import ReloadFailedError, read_status
from quartapp.testing import ForkServer, LiveServer
from tests.serving.deployed import HANGS, PROGRAM, Site, until

pytestmark = pytest.mark.slow


class Client(threading.Thread):
    """Sends requests over connections that it keeps, as long as the server does."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.requests = 0
        self.failures: list[object] = []
        self._address = urlsplit(url).netloc
        self._ends = threading.Event()

    def __enter__(self) -> "Client":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()

    def run(self) -> None:
        connection = HTTPConnection(self._address, timeout=60)
        while not self._ends.is_set():
            try:
                connection.request("GET", "/")
                with connection.getresponse() as response:
                    response.read()
                    if response.status != 200:
                        self.failures.append(response.status)
            except (OSError, HTTPException) as error:
                self.failures.append(error)
                connection.close()
            self.requests += 1
        connection.close()


@pytest.fixture(scope="module")
def start(
    fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    started: list[LiveServer] = []

    def begin(**settings: object) -> Site:
        site = Site(tmp_path_factory.mktemp("site"))
        site.configure(PORT=0, START_TIMEOUT=20, GRACEFUL_TIMEOUT=2, **settings)
        site.deploy("one")
        (site.folder / "program.py").write_text(PROGRAM)
        site.live = LiveServer({}, ["program.py"], cwd=site.folder, fork_server=fork_server)
        site.live.__enter__()
        started.append(site.live)
        until(lambda: read_status(site.pid_file))
        return site

    yield begin
    for live in started:
        live.kill()


@pytest.fixture(scope="module")
def several(start: Callable[..., Site]) -> Site:
    """Two workers of Hypercorn."""
    return start(WORKERS=2)


@pytest.fixture(scope="module")
def alone(start: Callable[..., Site]) -> Site:
    """One process, of uvicorn."""
    return start(WORKERS=1, SERVER="uvicorn")


@pytest.fixture(params=["several", "alone"])
def site(request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(request.param)
    return found


def test_a_broken_version_leaves_the_old_one_serving(site: Site) -> None:
    pid, before = site.live.process.pid, site.versions()
    site.deploy("broken", code="import quatr\n#{} {}\n")
    with pytest.raises(ReloadFailedError) as failed:
        site.reload()
    reason = str(failed.value)
    assert reason.startswith("ModuleNotFoundError: No module named 'quatr' (")
    assert reason.endswith("version.py:1)")
    said = f"quartapp: the reload failed, and the processes that were serving go on: {reason}\n"
    site.live.wait_for(said)
    logged = f"LOGGED A reload failed, and the processes that were serving go on ({reason})"
    site.live.wait_for(logged)
    assert site.live.output.count(reason) == 2
    assert site.versions() == before
    assert site.live.process.pid == pid


def test_a_wrong_setting_leaves_the_old_version_serving(several: Site) -> None:
    before = several.versions()
    several.deploy("wrong")
    several.configure(WORKERS=0)
    with pytest.raises(ReloadFailedError, match="WORKERS: expected greater than or equal to 1"):
        several.reload()
    several.configure(WORKERS=2)
    assert several.versions() == before


def test_a_start_that_fails_leaves_the_old_version_serving(several: Site) -> None:
    before = several.versions()
    several.deploy("failing", "raise SystemExit('no licence')")
    with pytest.raises(ReloadFailedError, match=r"the application did not start: .*no licence"):
        several.reload()
    assert several.versions() == before


def test_no_request_fails_while_code_and_settings_change(site: Site) -> None:
    pid, before = site.live.process.pid, site.versions()
    site.deploy("two")
    site.configure(NAME="new")
    with Client(site.live.url) as client, ThreadPoolExecutor() as pool:
        slow = pool.submit(site.answer, "/slow")
        site.live.wait_for("The slow request begins")
        site.reload()
        time.sleep(0.3)  # until the old processes know that they are replaced
        (site.folder / "release").touch()
        assert {slow.result()["version"]} == before
        assert slow.result()["connection"] == "close"
    assert client.failures == []
    assert client.requests > 10
    assert site.versions() == {"two"}
    assert site.answer()["name"] == "new"
    assert pid in psutil.pids()


def test_a_start_that_hangs_leaves_the_old_version_serving(site: Site) -> None:
    before = site.versions()
    site.deploy("hanging", HANGS)
    site.configure(START_TIMEOUT=0.3)
    with pytest.raises(ReloadFailedError, match="the application did not start: it took too long"):
        site.reload()
    site.configure(START_TIMEOUT=20)
    assert site.versions() == before


def test_a_reload_during_a_reload_is_another_one(site: Site) -> None:
    ended = site.status("reloads")
    site.deploy("three")
    os.kill(site.live.process.pid, signal.SIGHUP)
    until(lambda: site.status("running"))
    site.deploy("four")
    site.reload()
    assert site.status("reloads") == ended + 2
    assert site.versions() == {"four"}


def test_the_number_of_workers_may_change_and_the_port_may_not(alone: Site) -> None:
    alone.deploy("more")
    said = alone.live.output.count("Running on")
    alone.configure(WORKERS=2, PORT=1234)
    alone.reload()
    assert alone.answer()
    alone.live.wait_for("Running on", said + 2)
    alone.live.wait_for("PORT are 127.0.0.1 and 1234 now, and a reload cannot change them: restart")


def test_sigquit_and_sigusr1_reach_the_workers(several: Site) -> None:
    os.kill(several.live.process.pid, signal.SIGUSR1)
    os.kill(several.live.process.pid, signal.SIGQUIT)
    several.live.wait_for("LOGGED The stacks of process", 2)
    several.live.wait_for("The stacks of process", 3)
    assert several.answer()


def test_a_worker_that_dies_during_a_reload_is_replaced(several: Site) -> None:
    pids = {several.answer()["pid"] for _ in range(20)}
    several.deploy("five", "await __import__('asyncio').sleep(0.3)")
    with Client(several.live.url), ThreadPoolExecutor() as pool:
        reloading = pool.submit(several.reload)
        until(lambda: several.status("running"))
        os.kill(pids.pop(), signal.SIGKILL)
        reloading.result()
    several.live.wait_for("is replaced")
    until(lambda: several.versions() == {"five"})
    assert several.versions() == {"five"}


def test_a_stop_during_a_reload_stops_all_processes(several: Site) -> None:
    several.deploy("six", HANGS)
    os.kill(several.live.process.pid, signal.SIGHUP)
    until(lambda: several.status("running"))
    workers = several.workers()
    assert several.live.stop() == 0
    assert not psutil.wait_procs(workers, timeout=60)[1]
    assert not several.pid_file.exists()


def test_processes_do_not_outlive_the_master_that_served_alone(alone: Site) -> None:
    workers = alone.workers()
    os.kill(alone.live.process.pid, signal.SIGKILL)
    assert not psutil.wait_procs(workers, timeout=60)[1]
    with pytest.raises(ReloadFailedError, match="no server runs that has the file"):
        alone.reload()
