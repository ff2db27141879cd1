"""`quart --app quartapp dev`: the microblog under the development command."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest

from tests.debugger.development import development

pytestmark = pytest.mark.slow  # each starts processes

ROOT = Path(__file__).parents[2]
HTML = {"accept": "text/html"}
SYNTAX_ERROR = "def broken(:\n"


def test_the_commands_own_package_may_be_broken_too(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "quartapp", tmp_path / "quartapp", ignore=ignored)
    user = (tmp_path / "quartapp/microblog/models/user.py").read_text()
    (tmp_path / "quartapp/microblog/models/user.py").write_text(user + SYNTAX_ERROR)
    environment = {"PYTHONPATH": str(tmp_path)}
    with development(tmp_path, app="quartapp", environment=environment) as server:
        broken = server.wait_for_text("/", "SyntaxError")
        assert str(tmp_path) in broken.text

        server.write("quartapp/microblog/models/user.py", user)
        server.wait_for_text("/login", "Sign In")

        scrub = (tmp_path / "quartapp/redact/scrub.py").read_text()
        server.write("quartapp/redact/scrub.py", scrub + SYNTAX_ERROR)
        page = server.wait_for_text("/login", "SyntaxError", headers=HTML).text
        headers, path = server.unlock(page), server.path_of(page)
        command = {"frame": 1, "code": "[1] + [2]"}
        reply = server.client.post(f"{path}/run", json=command, headers=headers)
        assert reply.json()["value"] == "[1, 2]"
        # The module that hides secrets is broken, so no values are shown.
        table = server.client.post(f"{path}/variables", json=command, headers=headers)
        assert table.json() == {"error": ANY}
        assert "SyntaxError" in table.json()["error"]
        server.write("quartapp/redact/scrub.py", scrub)
        server.wait_for_text("/login", "Sign In")

        package = (tmp_path / "quartapp/__init__.py").read_text()
        server.write("quartapp/__init__.py", package + SYNTAX_ERROR)
        page = server.wait_for_text("/login", "SyntaxError", headers=HTML).text
        headers, path = server.unlock(page), server.path_of(page)
        table = server.client.post(f"{path}/variables", json=command, headers=headers)
        assert "rows" in table.json()

        server.write("quartapp/__init__.py", package)
        server.wait_for_text("/login", "Sign In")


def test_other_commands_do_not_import_the_application_before_they_run() -> None:
    code = (
        "import sys, quartapp.commands, quartapp.debugger.server.command, json;"
        "print(json.dumps([m for m in sys.modules if m.startswith('quartapp')]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert set(json.loads(result.stdout)) == {
        "quartapp",
        "quartapp.debugger",
        "quartapp.debugger.server",
        "quartapp.commands",
        "quartapp.debugger.server.command",
    }
