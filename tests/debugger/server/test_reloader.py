"""Which changes the reloader sees, and what it does about each."""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from quartapp.debugger.server.reloader import Files, source_folders
from tests.debugger.development import APPLICATION, development


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in ("shop.py", "parts/tea.py", "notes.txt", ".env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    return tmp_path


def test_nothing_changed(sources: Path) -> None:
    assert Files([sources]).changed() is None


@pytest.mark.parametrize("name", ["shop.py", "parts/tea.py", "new.py", "parts/new.py", ".env"])
def test_a_write_is_seen_once(sources: Path, name: str) -> None:
    files = Files([sources], [sources / ".env"])
    (sources / name).write_text("12")

    assert files.changed() == str(sources / name)
    assert files.changed() is None


def test_a_text_of_the_same_length_is_seen(sources: Path) -> None:
    files = Files([sources])
    before = (sources / "shop.py").stat().st_mtime_ns
    (sources / "shop.py").write_text("2")
    os.utime(sources / "shop.py", ns=(before + 1, before + 1))

    assert files.changed()


def test_a_removal_is_seen(sources: Path) -> None:
    files = Files([sources])
    (sources / "shop.py").unlink()

    assert files.changed() == str(sources / "shop.py")


@pytest.mark.parametrize(
    "name", ["notes.txt", ".hidden/x.py", "__pycache__/x.py", "node_modules/x.py", "venv/lib/x.py"]
)
def test_what_is_not_source_is_not_looked_at(sources: Path, name: str) -> None:
    (sources / "venv").mkdir()
    (sources / "venv/pyvenv.cfg").touch()
    files = Files([sources])
    (sources / name).parent.mkdir(exist_ok=True, parents=True)
    (sources / name).write_text("12")

    assert files.changed() is None


def test_installed_libraries_are_not_watched(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(sources), str(sources / "parts"), *sys.path])

    folders = source_folders(sources)

    assert sources.resolve() in folders
    assert (sources / "parts").resolve() not in folders  # it is below a folder that is watched
    assert not any("site-packages" in str(path) for path in folders)


HTML = {"accept": "text/html"}


SYNTAX_ERROR = "def broken(:\n"


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "error"), [(SYNTAX_ERROR, "SyntaxError"), (FAILING, "OSError: away")]
)
def test_a_first_start_that_fails_is_answered_and_recovers(
    folder: Path, text: str, error: str
) -> None:
    (folder / "shop.py").write_text(text)
    with development(folder) as server:
        assert server.wait_for_text("/", error).status_code == 500

        server.write("shop.py", APPLICATION.replace("first", "repaired"))

        assert server.wait_for_text("/", "repaired").status_code == 200


@pytest.mark.slow
def test_a_server_that_dies_comes_back(folder: Path) -> None:
    dying = APPLICATION + "\n@app.get('/die')\nasync def die():\n    import os\n    os._exit(7)\n"
    (folder / "shop.py").write_text(dying)
    with development(folder) as server:
        server.wait_for_text("/", "first")
        time.sleep(2.5)  # longer than MIN_LIFE: a server is then started again at once
        with pytest.raises(Exception, match=r"disconnected|reset"):
            server.client.get("/die")

        server.wait_for("ended with code 7")
        server.wait_for_text("/", "first")


@pytest.mark.slow
def test_no_request_is_refused_while_the_server_restarts(folder: Path) -> None:
    with development(folder) as server:
        server.wait_for_text("/", "first")
        server.write("shop.py", APPLICATION.replace("first", "second"))
        # It sends one request after the other, and raises if one is refused.
        assert server.wait_for_text("/", "second", pause=0).status_code == 200


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_change_of_the_environments_file_is_seen(folder: Path) -> None:
    (folder / ".env").write_text("GREETING=first")
    read = "import os\nfrom dotenv import dotenv_values\n\nVALUES = dotenv_values() | os.environ\n"
    (folder / "shop.py").write_text(read + APPLICATION.replace('"first"', 'VALUES["GREETING"]'))
    with development(folder) as server:
        server.wait_for_text("/", "first")

        server.write(".env", "GREETING=second")

        assert server.wait_for_text("/", "second").status_code == 200
