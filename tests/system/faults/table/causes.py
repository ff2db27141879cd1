"""The seven causes of errors in correct code that Flask's page on error handling begins with."""

import asyncio
import socket
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.system.faults import outage
from tests.system.faults.full_disk import fill
from tests.system.faults.table.row import Fault, SkippedError
from tests.system.faults.table.site import Site

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER without a delay


@asynccontextmanager
async def leaving_clients(site: Site) -> AsyncIterator[None]:
    """Clients that reset their connection: after a request, in a body, in an answer."""
    wait = b"GET /wait?seconds=5 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    stream = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    hold = b"GET /hold?seconds=3 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    post = b"POST /api/posts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    requests = (wait, stream, hold, post)
    leaving = [leave(site, one, 0.05 * number) for number in range(15) for one in requests]
    await asyncio.gather(*leaving)
    yield


async def leave(site: Site, request: bytes, after: float) -> None:
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(site.server.host, site.server.port)
        site.ledger.sent += 1
        site.ledger.answers["left"] += 1
        site.ledger.perhaps += 1
        writer.write(request)
        with suppress(TimeoutError, EOFError):
            async with asyncio.timeout(after):
                await reader.readexactly(100_000)
        made: socket.socket = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()


@asynccontextmanager
async def locked(site: Site) -> AsyncIterator[None]:
    """Somebody else holds SQLite's write lock, or a lock on PostgreSQL's posts."""
    if site.is_sqlite:
        async with outage.locked_out(site.sqlite_path):
            yield
        return
    engine = create_async_engine(site.url)
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE"))
        yield
    await engine.dispose()


@asynccontextmanager
async def full(site: Site) -> AsyncIterator[None]:
    ballast = await asyncio.to_thread(fill, site.folder / "ballast")
    yield
    ballast.unlink()


@asynccontextmanager
async def failing_disk(site: Site) -> AsyncIterator[None]:
    """Each write and sync of the workers to a file fails with EIO."""
    calls = "pwrite64,fsync,fdatasync"
    command = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"inject={calls}:error=EIO",
    ]
    command += ["-e", f"trace={calls}"]
    for worker in site.workers:
        command += ["-p", str(worker)]
    try:
        strace = subprocess.Popen(command, stderr=subprocess.PIPE)  # noqa: ASYNC220 it takes no time
    except FileNotFoundError as error:
        raise SkippedError("no strace: install it") from error
    await asyncio.sleep(0.5)
    if strace.poll() is not None:
        raise SkippedError(f"strace may not attach: {strace.stderr and strace.stderr.read()!r}")
    yield
    strace.terminate()
    await asyncio.to_thread(strace.communicate)


@asynccontextmanager
async def busy_mail_server(site: Site) -> AsyncIterator[None]:
    """It takes its time and refuses for now, while there is a new error to mail."""
    site.mail_server.replies, site.mail_server.delay = {"MAIL": "421 too busy"}, 0.3
    await site.many("/library", 4)
    yield
    site.mail_server.replies, site.mail_server.delay = {}, 0.0


@asynccontextmanager
async def library_bug(site: Site) -> AsyncIterator[None]:
    await site.many("/library", 30)
    yield


@asynccontextmanager
async def cut_mails(site: Site) -> AsyncIterator[None]:
    """The connection to the mail server ends in the middle of each mail."""
    site.mail_server.replies = {"DATA": "drop"}
    await site.many("/library", 4)
    yield
    site.mail_server.replies = {}


@asynccontextmanager
async def cut_line(site: Site) -> AsyncIterator[None]:
    assert site.line
    async with outage.hung_up(site.line):
        yield


@asynccontextmanager
async def flapping_line(site: Site) -> AsyncIterator[None]:
    """One COMMIT of three is cut, before or after it reached the database."""
    assert site.line
    site.line.share = 0.33
    yield
    site.line.share = 0.0


@asynccontextmanager
async def silent_line(site: Site) -> AsyncIterator[None]:
    """Nothing arrives any more, and no connection ends."""
    assert site.line
    site.line.is_open.clear()
    yield
    site.line.is_open.set()


_NO_LIMIT = {"DATABASE_TIMEOUT": "0", "REQUEST_TIMEOUT": "0"}
_PG, _SQLITE = ("postgresql",), ("sqlite",)

FAULTS = (
    Fault("the client left", "60 resets: waiting, in a stream, in a body", leaving_clients),
    Fault(
        "the database overloaded",
        "another process holds the lock, 8 s",
        locked,
        8.0,
        expects=("503",),
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "a file system full",
        "a tmpfs of 32 MB, filled",
        full,
        disk_mb=32,
        without={"WITHOUT": "allocating owing"},
    ),
    Fault(
        "a disk failed",
        "strace: EIO for each write and sync",
        failing_disk,
        without={"WITHOUT": "owing"},
    ),
    Fault(
        "a backend overloaded",
        "the mail server says 421, after 0.3 s",
        busy_mail_server,
        mails="KeyError",
        without={"WITHOUT": "retries"},
    ),
    Fault(
        "a library bug",
        "30 errors in a thread, whose texts fail",
        library_bug,
        expects=("500",),
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "a network connection failed: mails",
        "closed in the middle of DATA",
        cut_mails,
        mails="KeyError",
        without={"WITHOUT": "retries"},
    ),
    Fault(
        "a network connection failed: cut",
        "a proxy closes and refuses, 3 s",
        cut_line,
        engines=_PG,
        expects=("500",),
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "a network connection failed: in COMMIT",
        "a proxy cuts every third one",
        flapping_line,
        engines=_PG,
        expects=("500",),
        without={"WITHOUT": "recording"},
    ),
    Fault(
        "a network connection failed: silent",
        "a proxy forwards nothing, 8 s",
        silent_line,
        8.0,
        engines=_PG,
        expects=("503",),
        without=_NO_LIMIT,
    ),
)
