"""The command: what it writes, what it refuses, and what it says."""

import importlib.util
import tempfile
from pathlib import Path

import pytest

from quartapp.flasklike.port import __main__ as entry
from quartapp.flasklike.port import files
from quartapp.flasklike.port.command import run

VIEWS = """\
from flask import Flask, request
app = Flask(__name__)
@app.post("/")
def index():
    return request.form["x"]
"""
PORTED = """\
from quartapp.flasklike import Flask, request
app = Flask(__name__)
@app.post("/")
async def index():
    return (await request.form)["x"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "views.py").write_text(VIEWS)
    return tmp_path


def test_files_are_replaced_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "views.py").chmod(0o640)
    assert run([str(folder)]) == 0
    assert (folder / "views.py").read_text() == PORTED
    assert (folder / "views.py").stat().st_mode & 0o777 == 0o640
    said = capsys.readouterr().out
    assert said.startswith("Views become `async def`: nothing that the application imports blocks")
    assert "views.py: 3 lines changed" in said
    assert run([str(folder)]) == 0
    assert "lines changed" not in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["views.py"]


def test_a_diff_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(folder), "--diff"]) == 0
    assert (folder / "views.py").read_text() == VIEWS
    said = capsys.readouterr().out
    assert said.startswith("--- ")
    assert '+    return (await request.form)["x"]' in said


def test_what_blocks_keeps_views_plain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "db.py").write_text("import os\nimport sqlite3\n")
    assert run([str(folder)]) == 0
    assert "def index():\n    return request.form" in (folder / "views.py").read_text()
    assert "sqlite3 blocks, imported at db.py:2 (--async" in capsys.readouterr().out
    assert run([str(folder), "--async"]) == 0
    assert (folder / "views.py").read_text() == PORTED


def test_an_extension_of_flask_keeps_views_plain(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "login.py").write_text("from flask_login import current_user\n")
    assert run([str(folder)]) == 0
    assert "def index():\n    return request.form" in (folder / "views.py").read_text()
    assert "flask_login works only there, imported at login.py:1" in capsys.readouterr().out


def test_a_file_is_named_alone(folder: Path) -> None:
    (folder / "other.py").write_text(VIEWS)
    assert run([str(folder / "views.py"), "--async"]) == 0
    assert (folder / "views.py").read_text() == PORTED
    assert (folder / "other.py").read_text() == VIEWS


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"def f(:\n", "broken.py:1:7: a syntax error"),
        (b"x = '\xff'\n", "broken.py: not in the encoding that it declares"),
        (b"# coding: nonsense\n", "broken.py: not in the encoding that it declares"),
    ],
)
def test_a_file_that_cannot_be_read_stops_all(
    folder: Path, content: bytes, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.py").write_bytes(content)
    for options in ([], ["--check"], ["--diff"]):
        assert run([str(folder), *options]) == 2
        assert text in capsys.readouterr().err
    assert (folder / "views.py").read_text() == VIEWS


def test_a_path_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(tmp_path / "none")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
    assert run([str(tmp_path)]) == 2
    assert "there are no Python files in it" in capsys.readouterr().err


def test_a_read_only_file_stops_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "kept.py").write_text(VIEWS)
    (folder / "kept.py").chmod(0o444)
    assert run([str(folder)]) == 2
    assert "kept.py: read-only: nothing was written" in capsys.readouterr().err
    assert (folder / "views.py").read_text() == VIEWS


def test_a_failing_disk_leaves_every_file_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.py").write_text(VIEWS)
    real = tempfile.mkstemp
    calls: list[str] = []

    def full(dir: Path, prefix: str) -> tuple[int, str]:
        calls.append(prefix)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(dir=dir, prefix=prefix)

    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert run([str(folder)]) == 2
    assert "No space left on device: nothing was written" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "a.py": VIEWS,
        "views.py": VIEWS,
    }


def test_symbolic_links_and_environments_are_passed_over(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "linked.py").write_text(VIEWS)
    (folder / "link.py").symlink_to(other / "linked.py")
    (folder / "links").symlink_to(other)
    for name in (".venv", "node_modules", "custom"):
        (folder / name).mkdir()
        (folder / name / "x.py").write_text(VIEWS)
    (folder / "custom" / "pyvenv.cfg").touch()
    (folder / "large.py").write_text("#" * (files.LARGEST + 1))
    assert run([str(folder)]) == 0
    said = capsys.readouterr().out
    assert "link.py: passed over: a symbolic link is not followed" in said
    assert "links: passed over: a symbolic link is not followed" in said
    assert "large.py: passed over: larger than 1000000 bytes" in said
    untouched = [*folder.rglob("x.py"), *other.iterdir()]
    assert [path.read_text() for path in untouched] == [VIEWS] * 4


def test_line_ends_and_the_byte_order_mark_stay(folder: Path) -> None:
    text = b"\xef\xbb\xbf" + VIEWS.replace("\n", "\r\n").encode()
    (folder / "views.py").write_bytes(text)
    assert run([str(folder)]) == 0
    assert (folder / "views.py").read_bytes() == b"\xef\xbb\xbf" + PORTED.replace(
        "\n", "\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("pytest.ini", "[pytest]\n", "[pytest]\nasyncio_mode = auto\n"),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options] # x\naddopts = 1\n",
            '[tool.pytest.ini_options] # x\nasyncio_mode = "auto"\n',
        ),
        ("setup.cfg", "[a]\n[tool:pytest]", "[a]\n[tool:pytest]\nasyncio_mode = auto\n"),
        ("nothing", "", ""),
    ],
)
def test_pytest_runs_coroutine_functions(folder: Path, name: str, before: str, after: str) -> None:
    (folder / name).write_text(before)
    (folder / "test_views.py").write_text(
        "import pytest\nfrom views import app\n"
        "@pytest.fixture(scope='module')\ndef client():\n    with app.app_context():\n"
        "        yield app.test_client()\n"
    )
    assert run([str(folder)]) == 0
    assert (folder / name).read_text().startswith(after)
    if name == "nothing":
        text = (folder / "pytest.ini").read_text()
        assert text.startswith("[pytest]\nasyncio_mode = auto\n")
        assert "asyncio_default_test_loop_scope = session" in text


LEFT = {
    "from flask_login import LoginManager": "in `async def` use quart-auth",
    "from flask import _request_ctx_stack": "does not exist: use g, or flask.globals.request_ctx",
    "import time\ndef f():\n    time.sleep(1)\napp.before_request(f)": "use await asyncio.sleep",
    (
        "import sqlite3\ndef f():\n    sqlite3.connect('')\n"
        "def g():\n    f()\napp.before_request(g)"
    ): "sqlite3.connect() blocks the event loop in f",
    "import threading\ndef f():\n    threading.local()\napp.before_request(f)": "a ContextVar",
    "app.wsgi_app = 1": "wrap `app.asgi_app` in an ASGI middleware",
    "f = lambda: request.form['x']": "a lambda cannot await",
    (
        "def make():\n    site = Flask('x')\n    site.name = request.form\n    return site"
    ): "make makes the application",
    "x = request.form": "nothing can be awaited while a module is imported",
    "@app.template_filter()\ndef f(x):\n    return request.form[x]": "f is called without await",
    "def f():\n    return request.form\nmap(f, [])": "map() does not await f",
    (
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()\n"
        "def f():\n    return request.form\ndef g():\n    pool.submit(f)"
    ): "submit() does not await f",
    "def f():\n    return request.form\nmake().add_job(f)": "add_job() does not await f",
    "import functools\n@functools.lru_cache\ndef f():\n    return request.form": "only once",
    (
        "def f():\n    yield request.form\ndef g():\n    list(f())\napp.before_request(g)"
    ): "an asynchronous generator: list() does not take it",
    (
        "from sqlalchemy.orm import scoped_session, sessionmaker\n"
        "db = scoped_session(sessionmaker())"
    ): "views.py:7:6: scoped_session(): all coroutines share",
}


@pytest.mark.parametrize("source", LEFT)
def test_what_is_left_is_said(
    folder: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "views.py").write_text(VIEWS + source + "\n")
    assert run([str(folder), "--async"]) == 0
    left = capsys.readouterr().out.partition("Left to do:\n")[2].strip()
    assert LEFT[source] in left
    assert left.startswith("views.py:")


@pytest.mark.parametrize(
    ("mode", "arguments"), [("--plain", "make"), ("--async", "make, scopefunc=current_task")]
)
def test_a_scoped_session_of_threads_or_tasks_is_right(
    folder: Path, mode: str, arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"from sqlalchemy.orm import scoped_session\ndb = scoped_session({arguments})\n"
    (folder / "views.py").write_text(VIEWS + text)
    assert run([str(folder), mode]) == 0
    assert "scoped_session()" not in capsys.readouterr().out


def test_other_files_that_name_flask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("click\nFlask>=3\nflask-login\n")
    (folder / "pyproject.toml").write_text('name = "flask-x"\nd = ["click", "flask"]\n')
    (folder / ".flaskenv").write_text("FLASK_APP=views\n")
    (folder / "Procfile").write_text("web: gunicorn views:app\n")
    assert run([str(folder)]) == 0
    said = capsys.readouterr().out
    assert "requirements.txt:2:1: require quartapp\n" in said
    assert "pyproject.toml:2:1: require quartapp\n" in said
    assert ".flaskenv:1:1: QUART_APP" in said
    assert "Procfile:1:1: serve with an ASGI server" in said
    assert "requirements.txt:3" not in said


def test_check_has_an_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "views.py").write_text(PORTED)
    assert run([str(folder), "--check"]) == 0
    (folder / "views.py").write_text(PORTED.replace("await ", ""))
    assert run([str(folder), "--check"]) == 1
    assert capsys.readouterr().out == "views.py:5:13: request.form is not awaited\n"


def test_without_libcst_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert entry.main() == 2
    assert capsys.readouterr().err == "This needs libcst: pip install libcst\n"
