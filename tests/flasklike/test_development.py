"""`App.run`, in a separate process or with Quart's server replaced."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from quart import Quart

from quartapp.flasklike import App, Debugger, Response, development

PROGRAM = """
from quartapp.flasklike import App, Response

class Page:
    async def answer(self, error, request):
        return Response(f"debugging {error}", 500)

    async def note(self, error, where):
        pass

class Debugged(App):
    def create_debugger(self, *, evalex):
        print("evalex", evalex, flush=True)
        return Page()

app = Debugged("program")

@app.get("/")
async def index():
    raise ValueError("shown")

if __name__ == "__main__":
    app.run(port=0, debug=%r, use_reloader=False, use_evalex=False)
    app.get("/late")(index)  # set up again after the server ended
"""


async def get(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


async def port_of(process: psutil.Process) -> int:
    """Wait until a process listens; returns the port. Raises NoSuchProcess if it has ended."""
    while True:
        for connection in process.net_connections():
            if connection.status == psutil.CONN_LISTEN:
                return int(connection.laddr.port)
        await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("debug", [True, False])
async def test_serves_with_the_debugger_in_debug_mode_alone(tmp_path: Path, debug: bool) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM % debug)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    try:
        async with asyncio.timeout(120):
            answer = await get(await port_of(psutil.Process(process.pid)))
            process.send_signal(signal.SIGINT)
            output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output
    assert (b"debugging shown" in answer) is debug
    assert answer.startswith(b"HTTP/1.1 500")
    assert ("evalex False" in output) is debug
    assert output.count("ValueError: shown") == 1


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.delenv("QUART_DEBUG", raising=False)
    calls: list[Any] = []
    monkeypatch.setattr(Quart, "run", lambda self, *args, **kwargs: calls.append((args, kwargs)))
    return calls


def test_reloads_and_debugs_in_debug_mode_unless_said_otherwise(ran: list[Any]) -> None:
    class Page:
        async def answer(self, error: Exception, request: Any) -> Any:
            return Response("")

        async def note(self, error: Exception, where: str) -> None:
            return None

    class Debugged(App):
        def create_debugger(self, *, evalex: bool) -> Debugger | None:
            made.append(evalex)
            return Page()

    made: list[bool] = []
    Debugged("a").run(load_dotenv=False)
    Debugged("b").run("", 80, True, load_dotenv=False)
    Debugged("c").run(debug=True, use_reloader=False, use_debugger=False, load_dotenv=False)
    Debugged("d").run(use_reloader=True, use_debugger=True, use_evalex=False, threaded=True)
    assert made == [True, False]
    assert [args[:4] for args, _ in ran] == [
        (None, None, False, False),
        (None, 80, True, True),
        (None, None, True, False),
        (None, None, False, True),
    ]
    assert [kwargs for _, kwargs in ran] == [{}] * 4


def test_the_environment_may_ask_for_debug_mode(
    ran: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUART_DEBUG", "1")
    for debug, expected in ((None, True), (False, False)):
        app = App("environment")
        app.run(debug=debug, use_debugger=False, load_dotenv=False)
        assert app.debug is expected


def test_an_application_without_a_debugger_says_so(
    ran: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(development, "entry_points", lambda group: ())
    with pytest.warns(UserWarning, match="no debugger"):
        App("plain").run(debug=True, load_dotenv=False)


def test_an_installed_debugger_is_attached(ran: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        def load(self) -> Any:
            return lambda app, *, evalex: (app, evalex)

    installed = {"quart.debuggers": [Installed()]}
    monkeypatch.setattr(development, "entry_points", lambda group: installed[group])
    app = App("installed")
    app.run(debug=True, use_evalex=False, load_dotenv=False)
    attached: Any = app.debugger
    assert attached == (app, False)


def test_an_application_may_be_set_up_after_it_ran(ran: list[Any]) -> None:
    app = App("again")
    app._got_first_request = True
    app.run(load_dotenv=False)
    app.errorhandler(404)(lambda error: "set up again")  # no error, as it would be while it serves
    assert list(app.error_handler_spec[None]) == [404]
