"""Links that open a line in an editor."""

from pathlib import Path
from typing import NoReturn

import pytest

from quartapp.debugger.page.editor import EDITORS, editor_link, editor_pattern
from quartapp.debugger.server.settings import DebuggerSettings
from quartapp.flasklike import App
from quartapp.settings import ConfigurationError
from tests.debugger.site import HTML, Site, host


@pytest.mark.parametrize("name", EDITORS)
def test_the_patterns_of_all_names_are_valid(name: str) -> None:
    assert editor_pattern(f" {name.upper()} ") == EDITORS[name]
    assert editor_pattern(EDITORS[name]) == EDITORS[name]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("notepad", "must be an address or one of cursor"),
        ("vscode://file/", "must contain {path}"),
        ("vscode://file/{path}:{row}", "must contain {path}"),
        ("vscode://file/{path}:{}", "must contain {path}"),
        ("vscode://file/{path}}", "has a brace"),
        ("vscode://file/{path} {line}", "one word"),
        ("vscode://file/{path}\x00", "one word"),
        ("javascript:alert('{path}')", "javascript"),
        ("JavaScript:alert('{path}')", "javascript"),
        ("data:text/html,{path}", "data"),
        ("file://{path}", "file"),
        ("https://evil.example/{path}", "another machine"),
        ("http://localhost.evil.example/{path}", "another machine"),
        ("http://[/{path}", "no address"),
        ("x" * 600 + ":{path}", "one word"),
    ],
)
def test_other_patterns_are_refused(value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        editor_pattern(value)


def test_an_editor_of_this_machine_may_have_a_server() -> None:
    assert editor_pattern("http://localhost:63342/api/file/{path}:{line}")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("vscode://file/{path}:{line}", "vscode://file{}:3"),
        ("subl://open?url=file://{path}&line={line}", "subl://open?url=file://{}&line=3"),
        ("idea://open?file={path}&line={line}", "idea://open?file={}&line=3"),
    ],
)
def test_a_path_is_quoted(tmp_path: Path, pattern: str, expected: str) -> None:
    file = tmp_path / 'a&b="<c>#é {line}.py'
    file.write_text("")

    quoted = f"{tmp_path}/a%26b%3D%22%3Cc%3E%23%C3%A9%20%7Bline%7D.py"
    assert editor_link(pattern, str(file), 3) == expected.replace("{}", quoted)


def test_what_is_no_file_has_no_link(tmp_path: Path) -> None:
    for name in ("<template string>", "<frozen importlib>", str(tmp_path), "/nowhere.py", ""):
        assert editor_link(EDITORS["vscode"], name, 1) == ""
    assert editor_link("", __file__, 1) == ""


def make_site(editor: str) -> Site:
    app = App(__name__)
    app.config["EDITOR_URL"] = editor

    @app.get("/fail")
    async def fail() -> NoReturn:
        raise ValueError("failed")

    return host(app)


async def test_the_page_links_to_the_editor_of_its_own_machine() -> None:
    site = make_site("zed")
    page = await site.request("GET", "/fail", headers=HTML)
    other = await site.request("GET", "/fail", headers=HTML, peer="192.0.2.1")

    assert f'href="zed://file{__file__}:' in page.text
    assert 'rel="noopener noreferrer"' in page.text
    assert "zed://" not in other.text
    assert "test_editor.py" in other.text


async def test_without_the_setting_there_are_no_links(site: Site) -> None:
    assert 'class="editor"' not in (await site.request("GET", "/fail", headers=HTML)).text


async def test_a_wrong_setting_is_shown_as_an_error_of_the_start() -> None:
    site = make_site("notepad")
    page = await site.request("GET", "/fail", headers=HTML)

    assert "quartapp.settings.ConfigurationError" in page.text
    assert "EDITOR_URL" in page.text


def test_a_misspelled_key_is_a_fault() -> None:
    with pytest.raises(ConfigurationError, match="EDITOR_URL"):
        DebuggerSettings.from_config({"EDITOR_ULR": "zed"})
