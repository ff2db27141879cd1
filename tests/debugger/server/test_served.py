"""Failures of every kind on the real development server, and a thousand in a row."""

from collections.abc import Iterator

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.debugger.development import Development, development

pytestmark = pytest.mark.slow  # a development server, and a thousand failures

APPLICATION = """\
import asyncio
from pathlib import Path
from quart import Response, websocket
from sqlalchemy import text
from quartapp.database import Database
from quartapp.flasklike import App

app = App(__name__)
app.config["DATABASE_URL"] = f"sqlite:///{Path(__file__).parent / 'shop.db'}"
db = Database(app, engine_options={"pool_size": 2, "pool_timeout": 1})

@app.get("/stream")
async def stream():
    async def body():
        yield b"begun"
        parcel = "lost"
        raise OSError(parcel)
    return Response(body())

@app.websocket("/socket")
async def socket():
    await websocket.send("hello")
    heard = await websocket.receive()
    raise LookupError(heard)

@app.get("/background")
async def background():
    async def errand():
        raise ArithmeticError("later")
    app.add_background_task(errand)
    return "later"

@app.errorhandler(404)
async def lost(error):
    raise RuntimeError("the handler failed too")

@app.before_request
async def check():
    from quart import request
    if request.path == "/hook":
        raise PermissionError("in a hook")

@app.get("/query")
async def query():
    session = db.session
    await session.execute(text("SELECT 1"))
    raise RuntimeError("after a query")

@app.get("/pool")
async def pool():
    return db.engine.pool.status()

@app.get("/")
async def index():
    return "fine"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APPLICATION)
    with development(folder) as server:
        server.wait_for_text("/", "fine")
        yield server


HTML = {"accept": "text/html"}


def unlocked(server: Development) -> dict[str, str]:
    """The headers of a page that this client has unlocked."""
    return server.unlock(server.client.get("/hook", headers=HTML).text)


@pytest.mark.parametrize(
    ("path", "kind"), [("/hook", "PermissionError"), ("/missing", "RuntimeError")]
)
def test_hooks_and_handlers_have_pages(server: Development, path: str, kind: str) -> None:
    page = server.client.get(path, headers=HTML)

    assert page.status_code == 500
    assert f"<h1>{kind}</h1>" in page.text


def test_a_body_that_breaks_off_has_a_link_on_the_terminal(server: Development) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        server.client.get("/stream")

    link = server.wait_for(r"OSError in .*/stream.*: (http\S+)")
    page = server.client.get(link, headers=HTML)
    assert "parcel = " in page.text.replace("</span>", "").replace('<span class="">', "")


def test_a_websocket_that_fails_has_a_link_and_its_context(server: Development) -> None:
    headers = unlocked(server)
    with connect(f"{server.url.replace('http', 'ws')}/socket") as socket:
        socket.recv()
        socket.send("again?")
        with pytest.raises(ConnectionClosedError):
            socket.recv()
    server.wait_for(r"LookupError: again\?")
    server.wait_for(r"LookupError in .*failures/\S{12}")
    link = [line for line in server.lines if "LookupError in" in line][-1].rsplit(" ", 1)[1]
    page = server.client.get(link, headers=HTML).text
    number = int(page.rsplit('data-frame="', 1)[1].split('"')[0])

    answer = server.client.post(
        f"{link}/run",
        json={"frame": number, "code": "heard, websocket.path"},
        headers=headers,
    )

    assert answer.json()["value"] == "('again?', '/socket')"


def test_a_background_task_has_a_link_on_the_terminal(server: Development) -> None:
    server.client.get("/background")

    link = server.wait_for(r"ArithmeticError in a background task: (http\S+)")
    assert "ArithmeticError: later" in server.client.get(link).text


def test_a_thousand_failures_with_a_pool_of_two(server: Development) -> None:
    (child,) = psutil.Process(server.process.pid).children()

    def fail(times: int) -> float:
        """CPU seconds of the server for each; wall-clock time would depend on other processes."""
        started = child.cpu_times()
        for _ in range(times):
            answer = server.client.get("/query", headers=HTML)
            assert "<h1>RuntimeError</h1>" in answer.text
        ended = child.cpu_times()
        return (ended.user - started.user + ended.system - started.system) / times

    before = fail(100)
    memory = child.memory_info().rss
    fail(800)
    after = fail(100)

    assert child.memory_info().rss - memory < 8 * 1024 * 1024
    assert after < before * 1.5 + 0.005
    server.wait_for_text("/pool", "Current Checked out connections: 0")


def test_prompts_give_their_connections_back(server: Development) -> None:
    headers = unlocked(server)
    for _ in range(5):
        page = server.client.get("/query", headers=HTML).text
        number = int(page.rsplit('data-frame="', 1)[1].split('"')[0])
        for code in (
            "await session.execute(text('SELECT 1'))",
            "await db_session.execute(text('SELECT 2'))",
        ):
            answer = server.client.post(
                f"{server.path_of(page)}/run",
                json={"frame": number, "code": code},
                headers=headers,
            )
            assert answer.json()["error"] is None, answer.text

    server.wait_for_text("/pool", "Current Checked out connections: 0")
