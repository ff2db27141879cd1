"""`quart --app APP dev`: its options, and what it refuses."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.debugger.development import APPLICATION, command, development

pytestmark = pytest.mark.slow  # each starts a development server

HTML = {"accept": "text/html"}
SYNTAX_ERROR = "def broken(:\n"


def test_without_the_reloader_one_process_serves(folder: Path) -> None:
    with development(folder, "--no-reload") as server:
        assert "RuntimeError: susan" in server.client.get("/fail").text
        assert not psutil.Process(server.process.pid).children()
        assert server.stop() == 0


def test_without_the_debugger_errors_are_bare_and_logged(folder: Path) -> None:
    with development(folder, "--no-debugger") as server:
        answer = server.client.get("/fail", headers=HTML)

        assert answer.status_code == 500
        assert "susan" not in answer.text
        server.wait_for("RuntimeError: susan")
        assert "PIN" not in server.terminal


def test_without_evalex_the_page_has_no_prompt(folder: Path) -> None:
    with development(folder, "--no-evalex") as server:
        page = server.client.get("/fail", headers=HTML).text

        assert "susan" in page
        assert 'id="lock"' not in page
        assert "PIN" not in server.terminal


@pytest.mark.parametrize(("arguments", "offered"), [((), False), (("--evalex",), True)])
def test_in_ci_a_prompt_must_be_asked_for(
    folder: Path, arguments: tuple[str, ...], offered: bool
) -> None:
    with development(folder, *arguments, environment={"CI": "true"}) as server:
        page = server.client.get("/fail", headers=HTML).text

        assert ('id="lock"' in page) is offered
        if offered:
            server.wait_for("PIN")
    assert ("PIN" in server.terminal) is offered


def refused(folder: Path, *arguments: str, app: str = "shop", **environment: str) -> str:
    result = subprocess.run(
        command(*arguments, app=app),
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_an_address_that_others_reach_is_refused(folder: Path, host: str) -> None:
    assert "--allow-remote" in refused(folder, "--host", host)


def test_an_address_that_others_reach_can_be_forced(folder: Path) -> None:
    with development(folder, "--host", "0.0.0.0", "--allow-remote") as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server.client.get("/").text == "first"


def test_without_a_name_it_serves_app_py_as_quart_run_does(folder: Path) -> None:
    (folder / "shop.py").rename(folder / "app.py")
    with development(folder, app="") as server:
        server.wait_for_text("/", "first")

        server.write("app.py", APPLICATION.replace("first", "second"))

        assert server.wait_for_text("/", "second").status_code == 200


def test_without_a_name_and_app_py_it_says_what_to_write(folder: Path) -> None:
    said = refused(folder, app="")

    assert "quart --app MODULE dev" in said
    assert "QUART_APP" in said


def test_a_name_in_the_environment_is_served(folder: Path) -> None:
    with development(folder, app="", environment={"QUART_APP": "shop"}) as server:
        assert server.wait_for_text("/", "first").status_code == 200


def test_production_is_refused(folder: Path) -> None:
    assert "ENVIRONMENT is production" in refused(folder, ENVIRONMENT="production")


def test_a_taken_port_is_a_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in refused(folder, "--port", port)


def test_a_port_that_does_not_exist_is_a_sentence(folder: Path) -> None:
    assert "99999 is not in the range" in refused(folder, "--port", "99999")


def test_the_command_imports_nothing_before_it_runs() -> None:
    """`quart` loads it to find any command, even if a module of the application is broken."""
    code = (
        "import sys, quartapp.debugger.server.command;"
        "print(*(m for m in sys.modules if m.startswith('quartapp')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert set(result.stdout.split()) == {
        "quartapp",
        "quartapp.debugger",
        "quartapp.debugger.server",
        "quartapp.debugger.server.command",
    }
