"""`quart --app APP dev`: the reloader's table, and what the command refuses."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.debugger.development import APPLICATION, command, development

HTML = {"accept": "text/html"}
SYNTAX_ERROR = "def broken(:\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path


def test_edits_errors_and_corrected_files_each_have_their_answer(folder: Path) -> None:
    with development(folder) as server:
        assert server.client.get("/").text == "first"

        server.write("shop.py", APPLICATION.replace("first", "second"))
        server.wait_for_text("/", "second")

        server.write("shop.py", APPLICATION + SYNTAX_ERROR)
        broken = server.wait_for_text("/any/address", "SyntaxError")
        assert broken.status_code == 500
        assert "def broken(:" in broken.text
        page = server.client.get("/", headers=HTML)
        assert "<h1>SyntaxError</h1>" in page.text
        assert 'id="lock"' in page.text

        server.write("shop.py", "import no_such_module\n" + APPLICATION)
        server.wait_for_text("/", "ModuleNotFoundError: No module named 'no_such_module'")

        server.write("shop.py", APPLICATION + "raise SystemExit(5)\n")
        server.wait_for_text("/", "SystemExit: 5")

        server.write("shop.py", APPLICATION.replace("first", "repaired"))
        assert server.wait_for_text("/", "repaired").status_code == 200
        assert server.terminal.count("Debugger PIN: ") == 1


FAILING = APPLICATION + "\n@app.before_serving\nasync def connect():\n    raise OSError('away')\n"


@pytest.mark.parametrize(
    ("text", "error"), [(SYNTAX_ERROR, "SyntaxError"), (FAILING, "OSError: away")]
)
def test_a_first_start_that_fails_is_answered_and_recovers(
    folder: Path, text: str, error: str
) -> None:
    (folder / "shop.py").write_text(text)
    with development(folder) as server:
        server.wait_for_text("/", error)

        server.write("shop.py", APPLICATION)

        server.wait_for_text("/", "first")


def test_a_server_that_dies_comes_back(folder: Path) -> None:
    dying = APPLICATION + "\n@app.get('/die')\nasync def die():\n    import os\n    os._exit(7)\n"
    (folder / "shop.py").write_text(dying)
    with development(folder) as server:
        server.wait_for_text("/", "first")
        time.sleep(2.5)  # longer than a server must live to be started again at once
        with pytest.raises(Exception, match=r"disconnected|reset"):
            server.client.get("/die")

        server.wait_for("ended with code 7")
        server.wait_for_text("/", "first")


def test_no_request_is_refused_while_the_server_restarts(folder: Path) -> None:
    with development(folder) as server:
        server.wait_for_text("/", "first")
        server.write("shop.py", APPLICATION.replace("first", "second"))
        server.wait_for_text("/", "second", pause=0)


def test_ctrl_c_ends_both_processes(folder: Path) -> None:
    with development(folder) as server:
        server.wait_for_text("/", "first")
        children = psutil.Process(server.process.pid).children()

        assert server.stop() == 0

        assert len(children) == 1
        assert not any(child.is_running() for child in children)


def test_ctrl_c_in_the_middle_of_a_restart_ends_both(folder: Path) -> None:
    slow = "\nimport asyncio\n\n@app.after_serving\nasync def stop():\n    await asyncio.sleep(4)\n"
    (folder / "shop.py").write_text(APPLICATION + slow)
    with development(folder) as server:
        server.wait_for_text("/", "first")
        children = psutil.Process(server.process.pid).children()
        server.write("shop.py", APPLICATION)
        server.wait_for("Restarting: shop.py")

        assert server.stop() == 0

        assert not any(child.is_running() for child in children)
        assert "Traceback" not in server.terminal


def test_ctrl_c_while_the_application_is_imported_shows_no_traceback(folder: Path) -> None:
    slow = "import sys, time\nprint('importing', file=sys.stderr)\ntime.sleep(20)\n"
    (folder / "shop.py").write_text(slow + APPLICATION)
    with development(folder) as server:
        server.wait_for("importing")

        assert server.stop() == 0

        assert "Traceback" not in server.terminal


def test_a_killed_reloader_leaves_no_server(folder: Path) -> None:
    with development(folder) as server:
        server.wait_for_text("/", "first")
        (child,) = psutil.Process(server.process.pid).children()

        server.process.kill()

        assert not psutil.wait_procs([child], timeout=60)[1]


def test_a_failure_shows_its_traceback_and_link_on_the_terminal(folder: Path) -> None:
    with development(folder) as server:
        answer = server.client.get("/fail", headers={"host": "other.localhost:1"})

        link = server.wait_for(r" \* RuntimeError in GET /fail: (\S+)")
        assert link.startswith(server.url + "/__debugger__/failures/")
        assert answer.text.endswith(f"Debugger: {link}\n")
        server.wait_for(r"Exception on /fail \[GET\]")
        server.wait_for("RuntimeError: susan")


def test_escape_sequences_reach_no_terminal(folder: Path) -> None:
    text = APPLICATION.replace('"susan"', '"\\x1b[2Jsusan"')
    (folder / "shop.py").write_text(text)
    with development(folder) as server:
        server.client.get("/fail")
        server.wait_for("RuntimeError: .*susan")

        assert "\x1b" not in server.terminal


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


def test_an_application_that_is_not_in_debug_mode_has_no_debugger(folder: Path) -> None:
    text = APPLICATION.replace(
        "app = App(__name__)",
        "class Plain(App):\n    debug = property(lambda self: False, lambda self, value: None)\n\n"
        "app = Plain(__name__)",
    )
    (folder / "shop.py").write_text(text)
    with development(folder) as server:
        answer = server.client.get("/fail", headers=HTML)

        assert "susan" not in answer.text
        server.wait_for("The debugger is off")


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

        server.wait_for_text("/", "second")


def test_without_a_name_and_app_py_it_says_what_to_write(folder: Path) -> None:
    said = refused(folder, app="")

    assert "quart --app MODULE dev" in said
    assert "QUART_APP" in said


def test_a_name_in_the_environment_is_served(folder: Path) -> None:
    with development(folder, app="", environment={"QUART_APP": "shop"}) as server:
        server.wait_for_text("/", "first")


def test_a_change_of_the_environments_file_is_seen(folder: Path) -> None:
    (folder / ".env").write_text("GREETING=first")
    read = "import os\nfrom dotenv import dotenv_values\n\nVALUES = dotenv_values() | os.environ\n"
    (folder / "shop.py").write_text(read + APPLICATION.replace('"first"', 'VALUES["GREETING"]'))
    with development(folder) as server:
        server.wait_for_text("/", "first")

        server.write(".env", "GREETING=second")

        server.wait_for_text("/", "second")


def test_production_is_refused(folder: Path) -> None:
    assert "ENVIRONMENT is production" in refused(folder, ENVIRONMENT="production")


def test_a_taken_port_is_a_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in refused(folder, "--port", port)


def test_the_key_is_not_in_arguments_or_environment(folder: Path) -> None:
    with development(folder) as server:
        server.wait_for_text("/", "first")
        pin = server.wait_for(r"Debugger PIN: (\S+)")
        (child,) = psutil.Process(server.process.pid).children()

        seen = " ".join([*child.cmdline(), *child.environ().values()])

        assert pin not in seen
        assert '"key"' not in seen


def test_the_command_imports_nothing_before_it_runs() -> None:
    """`quart` loads it to find any command, also while a module of the application is broken."""
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
