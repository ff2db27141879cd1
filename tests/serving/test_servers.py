"""The same promises under each server, which are started once for this file."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from quartapp.testing import ForkServer, LiveServer, MailServer
from tests.flasklike.servers import read_answer
from tests.shop.endings import prepare

ROOT = Path(__file__).parents[2]
SERVERS = ("hypercorn", "uvicorn", "granian")
SECRET = "canary-of-a-query"

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Site:
    """A server, and connections that wait for nothing good: no head, half a head, no reading."""

    name: str
    folder: Path
    live: LiveServer
    waiting: list[Stream] = field(default_factory=list)
    opened: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, data: bytes = b"") -> Stream:
        address = urlsplit(self.live.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=4096)
        writer.write(data)
        self.opened.append(writer)
        return reader, writer

    async def status(self, *lines: bytes, body: bytes = b"") -> int:
        """The status for a request that no client library would send."""
        lines = (*lines, b"Connection: close", b"", b"")
        reader, _ = await self.connect(b"\r\n".join(lines) + body)
        async with asyncio.timeout(60):
            return int((await reader.readline()).split()[1])

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  # any condition
                await asyncio.sleep(0.02)

    async def until_said(self, text: str, times: int = 1) -> None:
        await self.until(lambda: self.live.output.count(text) >= times)

    def counted(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.folder / "shop.db")) as database:
            return dict(
                database.execute("SELECT title, sum(count) FROM error_groups GROUP BY title")
            )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mails() -> AsyncIterator[MailServer]:
    server = MailServer()
    await server.start()
    yield server
    await server.stop()


Start: TypeAlias = Callable[..., Awaitable[Site]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def start(
    mails: MailServer, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Start]:
    with ExitStack() as stack:

        async def begin(name: str, **settings: object) -> Site:
            folder = tmp_path_factory.mktemp(name)
            prepare(folder)
            values = (f"{key}={value}" for key, value in (settings | {"server": name}).items())
            command = ("-m", "tests.serving.shop", str(folder), str(mails.port), *values)
            live = LiveServer({}, command, cwd=ROOT, fork_server=fork_server)
            await asyncio.to_thread(stack.enter_context, live)
            return Site(name, folder, live)

        yield begin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(start: Start) -> AsyncIterator[dict[str, Site]]:
    settings = {"proxy_hops": 1, "graceful_timeout": 1}
    found = [await start(SERVERS[0], **settings)]  # the fork server starts with the first
    found += await asyncio.gather(*(start(name, **settings) for name in SERVERS[1:]))
    for site in found:
        flood = b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n"
        site.waiting += [await site.connect(data) for data in (b"", b"GET / HTT", flood)]
    yield {site.name: site for site in found}
    for writer in (writer for site in found for writer in site.opened):
        writer.transport.abort()
    await asyncio.sleep(0)


@pytest.fixture(params=SERVERS)
def site(sites: dict[str, Site], request: pytest.FixtureRequest) -> Site:
    return sites[request.param]


async def test_it_says_where_it_listens_and_under_which_server(site: Site) -> None:
    said = f"quartapp: Running on {site.live.url} with {site.name}, process "
    assert site.live.output.count(said) == 1


async def test_an_error_is_a_page_a_record_and_a_mail(site: Site, mails: MailServer) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        headers = {"Authorization": f"Bearer {SECRET}"}
        answer = await client.get(f"{site.live.url}/boom?token={SECRET}", headers=headers)
    assert answer.status_code == 500
    assert "<h1>An unexpected error has occurred</h1>" in answer.text
    await site.until(lambda: any("boom" in title for title in site.counted()))
    await site.until(lambda: any(site.name in str(mail.message["Subject"]) for mail in mails.mails))
    await site.until_said("RuntimeError: ")
    assert SECRET not in site.live.output


async def test_a_stream_that_dies_is_no_complete_answer(site: Site) -> None:
    reader, _ = await site.connect(b"GET /dies HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await read_answer(reader)
    assert (answer.status, answer.body, answer.whole) == (200, b"first", False)
    await site.until(lambda: any(".dies" in title for title in site.counted()))


async def test_answers_without_a_body_keep_the_connection(site: Site) -> None:
    fields = b"HTTP/1.1\r\nHost: a\r\n"
    for request, status in ((b"HEAD /health", 200), (b"GET /nothing", 204)):
        both = b"%s %s\r\nGET /health %s\r\n" % (request, fields, fields)
        reader, _ = await site.connect(both)
        head = await reader.readuntil(b"\r\n\r\n")
        assert int(head.split()[1]) == status
        assert (b"server:" in head) is (site.name == "granian")
        assert (await read_answer(reader)).body == b"ok"


async def test_heads_and_bodies_beyond_the_bounds_are_refused(site: Site) -> None:
    get, host = b"GET /health HTTP/1.1", b"Host: localhost"
    assert await site.status(get, host) == 200
    assert await site.status(get, host, b"X: " + b"a" * 70_000) in {400, 431}
    assert await site.status(get, host, b"X: " + b"a" * 700_000) in {400, 431}
    assert await site.status(get, host, host) == 400
    assert await site.status(b"what is this", host) == 400
    endless, _ = await site.connect(get + b"\r\nX: " + b"a" * 700_000)
    assert (await endless.readline()).split()[1] in {b"400", b"431"}
    post, length = b"POST /length HTTP/1.1", b"Content-Length: %d"
    assert await site.status(post, host, length % 100, body=bytes(100)) == 200
    assert await site.status(post, host, length % 101, body=bytes(101)) == 413
    assert (
        await site.status(post, host, b"Transfer-Encoding: chunked", body=b"no length\r\n") == 400
    )


async def test_requests_that_wait_for_a_response_are_bounded(sites: dict[str, Site]) -> None:
    """The other servers read on when they have answered."""

    async def answers(number: int) -> int:
        request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
        last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        reader, _ = await sites["uvicorn"].connect(request * (number - 1) + last)
        received = b""
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                received += data
        return received.count(b"HTTP/1.1 200")

    async with asyncio.timeout(60):
        assert await answers(90) == 90
        assert await answers(5000) <= 5000 / 2


async def test_a_websocket_talks(site: Site) -> None:
    async with connect(f"{site.live.url.replace('http', 'ws')}/ws", proxy=None) as client:
        await client.send("hello")
        assert await client.recv() == "hello"


async def test_a_proxy_names_the_client(site: Site) -> None:
    headers = {
        "X-Forwarded-For": "192.0.2.1, 203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "example.com",
    }
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.get(f"{site.live.url}/client", headers=headers)
    assert answer.json() == ["https", "203.0.113.9", "example.com"]


async def test_a_client_that_leaves_cancels_its_view(site: Site) -> None:
    _, writer = await site.connect(b"GET /slow/60.0 HTTP/1.1\r\nHost: a\r\n\r\n")
    await site.until_said("A request begins")
    writer.close()
    left = "The client left before the answer to /slow/60.0 [GET] was complete"
    await site.until_said(left)
    assert site.live.output.count(left) == 1


async def test_who_sends_or_reads_nothing_is_disconnected(site: Site) -> None:
    silent, half, _ = site.waiting
    for reader, _ in (silent, half):
        async with asyncio.timeout(30):
            assert await reader.read() == b""
    await site.until_said("the answer to /flood [GET] was not sent in 1 s")


async def test_a_stop_answers_what_it_cuts_off(sites: dict[str, Site]) -> None:
    codes = await asyncio.gather(*map(stop, sites.values()))
    assert codes == [0] * len(sites)


async def stop(site: Site) -> int:
    """Stop a server while it answers; returns its exit code."""
    began = site.live.output.count("A request begins")
    said = len(site.live.output)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
        connect(f"{site.live.url.replace('http', 'ws')}/ws", proxy=None) as talking,
    ):
        paths = ("/slow/60.0", "/slow/0.5", "/hanging_page")
        asking = [asyncio.create_task(client.get(site.live.url + path)) for path in paths]
        await site.until_said("A request begins", began + len(paths))
        os.killpg(site.live.process.pid, signal.SIGINT)  # all processes, as a terminal does
        with pytest.raises(ConnectionClosed) as closed:
            await talking.recv()
        slow, finished, late = await asyncio.gather(*asking)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert (slow.status_code, slow.text) == (503, "<h1>styled</h1>")
    assert (finished.text, late.status_code) == ("slept", 503)
    # The client that does not read /flood is still connected.
    code = await asyncio.to_thread(site.live.wait)
    assert "CancelledError" not in site.live.output[said:]
    return code


async def test_a_second_ctrl_c_hurries(start: Start) -> None:
    async def hurry(name: str) -> Any:
        site = await start(name, graceful_timeout=60)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            asking = asyncio.create_task(client.get(f"{site.live.url}/slow/60.0"))
            await site.until_said("A request begins")
            began = time.monotonic()
            site.live.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.3)
            assert not asking.done()
            site.live.process.send_signal(signal.SIGINT)
            answer = await asking
        code = await asyncio.to_thread(site.live.wait)
        return name, answer.status_code, code, time.monotonic() - began < 20

    found = await asyncio.gather(*map(hurry, SERVERS))
    assert found == [(name, 503, 0, True) for name in SERVERS]
