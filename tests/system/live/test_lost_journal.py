"""The folder of the journal is taken away from a server that runs with two workers."""

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import make_url

from quartapp.microblog.testing import StartServer
from quartapp.reporting.journal.segments import pack
from quartapp.reporting.journal.servers import living_servers
from quartapp.testing import LiveServer

SERVE = str(Path(__file__).parents[2] / "microblog" / "serve.py")
MADE_AGAIN = "was removed or replaced while it was written; it was made again"

NOTICED = 5.0
"""Seconds in which a worker without a request notices too; it looks every second."""


class Site:
    """A server, what its clients received, and what its database has counted."""

    def __init__(self, server: LiveServer, database_url: str, folder: Path) -> None:
        self.server = server
        self.journal = folder / "instance" / "journal"
        self.database = make_url(database_url).database or ""
        self.received = 0

    async def fail(self, times: int) -> None:
        """Each request has a new connection, so that both workers get some."""
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            answers = await asyncio.gather(
                *(client.get(f"{self.server.url}/boom") for _ in range(times))
            )
        assert {answer.status_code for answer in answers} == {500}
        self.received += times

    @property
    def counted(self) -> int:
        connection = sqlite3.connect(self.database)
        others = "title like 'SelfTest%' or title like 'Lines of%'"
        query = f"select sum(count) from error_groups where not ({others})"
        try:
            return int(connection.execute(query).fetchone()[0] or 0)
        finally:
            connection.close()

    def wait_until_counted(self) -> None:
        deadline = time.monotonic() + 60
        while self.counted < self.received and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.counted == self.received

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "quart", "--app", "quartapp", "errors", *arguments],
            env=self.server.environment | {"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def eventually(self, command: str, text: str) -> bool:
        """Whether a command says a text within a while, as it does when the workers know."""
        deadline = time.monotonic() + 30
        while text not in self.command(command).stdout:
            if time.monotonic() > deadline:
                return False
        return True


@pytest.fixture
def site(live_server: StartServer, database_url: str, tmp_path: Path) -> Iterator[Site]:
    with live_server(SERVE, WORKERS="2") as server:
        made = Site(server, database_url, tmp_path)
        deadline = time.monotonic() + 60
        while len(living_servers(made.journal)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        yield made
    if made.journal.is_mount():
        unmount(made.journal)


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def rename(folder: Path) -> None:
    folder.rename(folder.with_name("renamed"))


def replace(folder: Path) -> None:
    folder.rename(folder.with_name("replaced"))
    folder.mkdir()


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def put_a_file_there(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("in the way")


def restore_a_copy(folder: Path) -> None:
    folder.rename(folder.with_name("original"))
    shutil.copytree(folder.with_name("original"), folder)


def replace_by_a_copy(file: Path) -> None:
    file.rename(file.with_name("moved.db"))
    shutil.copy(file.with_name("moved.db"), file)


def mount(folder: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a tmpfs here: {getattr(error, 'stderr', error)}")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def lose(site: Site, *steps: Callable[[Path], None]) -> None:
    """After each step, errors occur and each worker says at most once that it put its segment
    back."""
    for step in steps:
        said = site.server.output.count(MADE_AGAIN)
        step(site.journal)
        await site.fail(10)
        await site.fail(10)
        assert list(site.journal.glob("*.journal")), step
        # A worker that had no request yet has nothing to put back.
        deadline = time.monotonic() + NOTICED
        while (now := site.server.output.count(MADE_AGAIN)) < said + 2:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        assert said < now <= said + 2, step
    await asyncio.to_thread(site.wait_until_counted)
    assert await asyncio.to_thread(site.server.stop) == 0


@pytest.mark.slow
async def test_no_error_is_lost_with_the_folder(site: Site) -> None:
    await site.fail(20)
    await lose(site, remove, rename, replace, empty, restore_a_copy, put_a_file_there)
    assert site.counted == site.received


@pytest.mark.slow
async def test_no_error_is_lost_with_the_file_system(site: Site) -> None:
    await site.fail(20)
    await lose(site, mount, unmount)
    assert site.counted == site.received


@pytest.mark.slow
async def test_what_no_journal_takes_is_counted_at_the_end(
    live_server: StartServer, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "instance")
    with live_server(SERVE, WORKERS="1", INSTANCE_PATH=place) as server:
        site = Site(server, database_url, tmp_path)
        await site.fail(7)
        assert await asyncio.to_thread(server.stop) == 0
    assert site.counted == site.received == 7


@pytest.mark.slow
async def test_what_is_no_segment_keeps_nothing_waiting(site: Site) -> None:
    await site.fail(5)
    journal = site.journal
    os.mkfifo(journal / "0-fifo.journal")
    (journal / "0-folder.journal").mkdir()
    (journal / "0-link.journal").symlink_to("/dev/zero")
    (journal / "0-file\n.journal").touch()
    os.close(os.open(os.fsencode(journal) + b"/0-\xff\xfe.journal", os.O_CREAT | os.O_WRONLY))
    (journal / ("0" * 200 + ".journal")).touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(journal / "0-s.journal"))
        lines = [b'["a",99999999999999999999,1]', b"[" * 100_000, b'["b","c","d"]', b"{}", b'"x"']
        (journal / "0-1-aa.journal").write_bytes(b"".join(map(pack, lines)))
        await site.fail(5)
        await asyncio.to_thread(site.wait_until_counted)
        site.server.wait_for("5 lines of the journal are not entries")
        site.server.wait_for("in the journal is no segment", times=7)
    begun = time.monotonic()
    assert await asyncio.to_thread(site.server.stop) == 0
    assert time.monotonic() - begun < 5
    assert site.server.output.count("in the journal is no segment") == 7
    assert "cannot be counted" not in site.server.output
    assert len(os.listdir(journal / "aside")) == 8
    assert "8 foreign files" in (await asyncio.to_thread(site.command, "doctor")).stdout


@pytest.mark.slow
async def test_the_commands_look_at_what_the_server_uses(site: Site, database_url: str) -> None:
    await site.fail(1)
    await asyncio.to_thread(site.wait_until_counted)
    doctor = await asyncio.to_thread(site.command, "doctor")
    assert "ok  server: 2 processes write to this journal" in doctor.stdout
    assert "counted by a server" in (await asyncio.to_thread(site.command, "test")).stdout
    remove(site.journal)
    site.server.wait_for(MADE_AGAIN, times=2)
    # The workers note it a moment after they say it.
    assert await asyncio.to_thread(site.eventually, "doctor", "was removed under them at")
    database = Path(make_url(database_url).database or "")
    await asyncio.to_thread(replace_by_a_copy, database)
    gone = "it counts into a database file that was removed or replaced"
    assert await asyncio.to_thread(site.eventually, "doctor", gone)
    assert (await asyncio.to_thread(site.command, "doctor")).returncode == 1
    test = await asyncio.to_thread(site.command, "test")
    assert test.returncode == 1
    assert "a database file that was removed or replaced" in test.stderr
