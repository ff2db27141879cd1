"""The server's process: how it ends, and what it writes to the terminal."""

from pathlib import Path

import psutil
import pytest

from tests.debugger.development import APPLICATION, development

pytestmark = pytest.mark.slow  # each starts a development server

HTML = {"accept": "text/html"}


def test_ctrl_c_ends_both_processes(folder: Path) -> None:
    with development(folder) as server:
        server.wait_for_text("/", "first")
        children = psutil.Process(server.process.pid).children()

        assert server.stop() == 0

        assert len(children) == 1
        assert not any(child.is_running() for child in children)


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


def test_the_key_is_not_in_arguments_or_environment(folder: Path) -> None:
    with development(folder) as server:
        server.wait_for_text("/", "first")
        pin = server.wait_for(r"Debugger PIN: (\S+)")
        (child,) = psutil.Process(server.process.pid).children()

        seen = " ".join([*child.cmdline(), *child.environ().values()])

        assert pin not in seen
        assert '"key"' not in seen


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
