"""A served microblog with two workers, its database and its mail server, and clients."""

import asyncio
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.engine import URL, make_url

from quartapp.database import DatabaseEngine
from quartapp.microblog.migrate import migrate
from quartapp.microblog.models import Post
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.models.user import add_user
from quartapp.microblog.testing import environment
from quartapp.reporting.journal.servers import living_servers
from quartapp.reporting.tables import ErrorAlert, ErrorGroup, ErrorSample
from quartapp.testing.mail import MailServer
from quartapp.testing.server import LiveServer
from tests.system.faults.databases import postgresql
from tests.system.faults.line import Line
from tests.system.faults.table.ledger import Ledger, Server
from tests.system.faults.table.usage import Usage, of_processes

ROOT = Path(__file__).parents[4]
SERVE = str(Path(__file__).with_name("served.py"))
WORKERS = 2
POOL = 5
_STARTED = 60.0
_PAUSE = 0.02


class Site:
    """`folder` has everything on the disk, `url` is the database, without the `line` in front of
    it (PostgreSQL's only). `exit_codes` are those of the servers that were stopped."""

    def __init__(self, folder: Path, url: URL, line: Line | None, **more: str) -> None:
        self.folder, self.url, self.line = folder, url, line
        self.ledger = Ledger()
        self.mail_server = MailServer()
        self.exit_codes: list[int] = []
        self.output = ""
        near = line.leads_to(url) if line else url.render_as_string(hide_password=False)
        self._environment = environment(folder, near) | {
            "DATABASE_POOL_SIZE": str(POOL),
            "DATABASE_TIMEOUT": "3",
            "REQUEST_TIMEOUT": "6",
            "GRACEFUL_TIMEOUT": "2",
            "MAIL_SERVER": self.mail_server.host,
            "ADMINS": "ops@example.com",
            "WORKERS": str(WORKERS),
            "PYTHONPATH": str(ROOT),
            **more,
        }
        self._numbers = itertools.count()
        self._clients: list[asyncio.Task[None]] = []
        self._port = 0

    @property
    def journal(self) -> Path:
        return self.folder / "instance" / "journal"

    @property
    def is_sqlite(self) -> bool:
        return self.url.drivername.startswith("sqlite")

    @property
    def sqlite_path(self) -> Path:
        return Path(self.url.database or "")

    # The server.

    async def prepare(self) -> None:
        """Make the tables, a person and a token."""
        await self.mail_server.start()
        self._environment["MAIL_PORT"] = str(self.mail_server.port)
        text = self.url.render_as_string(hide_password=False)
        await asyncio.to_thread(migrate, text)
        self.database = DatabaseEngine(text)
        async with self.database.session() as session:
            person = await add_user(session, "susan", "susan@example.com", "")
            token = (await issue_token(session, person.id, person.login_epoch)).token
        self.head = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    async def start(self) -> None:
        environment = self._environment | {"PORT": str(self._port)}
        self.live = LiveServer(environment, [SERVE], cwd=self.folder)
        await asyncio.to_thread(self.live.__enter__)
        address = urlsplit(self.live.url)
        assert address.hostname
        assert address.port
        self._port = address.port
        self.server = Server(address.hostname, address.port, self.ledger)
        await self.until_served()

    async def until_served(self) -> None:
        """All workers have started."""
        deadline = time.monotonic() + _STARTED
        while len(self.workers) < WORKERS and time.monotonic() < deadline:  # noqa: ASYNC110 files
            await asyncio.sleep(_PAUSE)

    async def stop(self) -> None:
        """By SIGTERM. A server that does not stop is killed."""
        if self.live.process.poll() is None:
            code = await asyncio.to_thread(self.live.stop)
            self.exit_codes.append(code)
        await asyncio.to_thread(self.live.kill)
        self.output += self.live.output

    async def kill(self) -> None:
        """The master and its workers, by SIGKILL."""
        await asyncio.to_thread(self.live.kill)
        self.output += self.live.output

    @property
    def workers(self) -> list[int]:
        """Their process ids."""
        return [state.pid for state in living_servers(self.journal)]

    def kill_worker(self) -> None:
        os.kill(self.workers[0], signal.SIGKILL)

    # The clients.

    async def post(self) -> int | str:
        """Publish a text that is not sent again."""
        text = f"post {next(self._numbers)} of {id(self)}"
        self.ledger.posts[text] = False
        body = json.dumps({"body": text}).encode()
        status = await self.server.ask("/api/posts", "POST", self.head, body)
        self.ledger.posts[text] = status == 201
        return status

    async def fail(self) -> int | str:
        return await self.server.ask("/boom")

    async def many(self, path: str, times: int) -> Counter[int | str]:
        """Requests at the same time, and their answers."""
        return Counter(await asyncio.gather(*(self.server.ask(path) for _ in range(times))))

    def begin_traffic(self) -> None:
        async def again(act: Callable[[], Awaitable[object]], pause: float) -> None:
            while True:
                await act()
                await asyncio.sleep(pause)

        kinds = (self.post, 0.03), (self.post, 0.05), (self.fail, 0.07)
        self._clients = [asyncio.create_task(again(*kind)) for kind in kinds]
        self._clients.append(asyncio.create_task(again(lambda: self.server.ping(), 0.03)))

    async def end_traffic(self) -> None:
        """What was sent last may get no answer."""
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self.ledger.perhaps += len(self._clients)

    async def recover(self, seconds: float) -> float | None:
        """How long it takes until posts, pages and errors are answered as they should be."""
        began = time.monotonic()
        while (took := time.monotonic() - began) < seconds:
            answers = await asyncio.gather(self.post(), self.server.ask("/explore"), self.fail())
            if list(answers) == [201, 200, 500]:
                return took
            await asyncio.sleep(0.05)
        return None

    # What is there.

    async def warm_up(self) -> None:
        """Use everything once, so that pools and caches are filled."""
        for _ in range(3):
            await self.many("/hold?seconds=0.2", 6 * WORKERS)
            await asyncio.gather(*(self.post() for _ in range(8)))
            await self.many("/boom", 12)
            await self.many("/explore", 8)

    async def usage(self) -> Usage:
        held: dict[int, tuple[int, int, int]] = {}
        deadline = time.monotonic() + 10
        while len(held) < WORKERS and time.monotonic() < deadline:
            answers = await asyncio.gather(
                *(self._held() for _ in range(6)), return_exceptions=True
            )
            for one in answers:
                if isinstance(one, dict):
                    # Those of six requests at once are not counted: the least of them is right.
                    least = min(one["tasks"], held.get(one["pid"], (0, one["tasks"]))[1])
                    held[one["pid"]] = one["connections"], least, one["idle"]
        connections, tasks, idle = map(sum, zip((0, 0, 0), *held.values(), strict=True))
        return of_processes(self.live.process.pid, connections, tasks, idle)

    async def _held(self) -> dict[str, int]:
        _, page = await self.server._exchange("/held", "GET", "", b"")
        answer: dict[str, int] = json.loads(page)
        return answer

    async def stored(self) -> Counter[str]:
        """The texts of all posts."""
        async with self.database.session(write=False) as session:
            return Counter((await session.scalars(select(Post.body))).all())

    async def counted(self) -> dict[str, int]:
        """The errors of requests by the titles of their groups."""
        async with self.database.session(write=False) as session:
            groups = (
                await session.execute(select(ErrorGroup.id, ErrorGroup.title, ErrorGroup.count))
            ).all()
            samples = (
                await session.execute(select(ErrorSample.group_id, ErrorSample.report))
            ).all()
        sampled = {group for group, _ in samples}
        of_requests = {group for group, report in samples if json.loads(report).get("request")}
        found: Counter[str] = Counter()
        for group, title, count in groups:
            if group in of_requests or group not in sampled:
                found[title] += count
        return dict(found)

    async def mails_waiting(self) -> int:
        async with self.database.session(write=False) as session:
            query = select(func.count()).where(ErrorAlert.state == "waiting")
            return int(await session.scalar(query) or 0)


@asynccontextmanager
async def served(folder: Path, engine: str, **more: str) -> AsyncIterator[Site]:
    """A site that runs on "sqlite" or "postgresql", with a line in front of the latter."""
    async with AsyncExitStack() as stack:
        line = None
        if engine == "postgresql":
            url = await stack.enter_async_context(postgresql())
            line = Line(url)
            await line.open()
            stack.push_async_callback(line.cut)
        else:
            url = make_url(f"sqlite+aiosqlite:///{folder / 'site.db'}")
        site = Site(folder, url, line, **more)
        await site.prepare()
        stack.push_async_callback(site.database.dispose)
        stack.push_async_callback(site.mail_server.stop)
        await site.start()
        stack.push_async_callback(_end, site)
        yield site


async def _end(site: Site) -> None:
    with suppress(ProcessLookupError):
        await asyncio.to_thread(site.live.kill)
