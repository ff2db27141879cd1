"""`quart --app quartapp dev`: the microblog under the development command."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.debugger.development import development

ROOT = Path(__file__).parents[2]
SYNTAX_ERROR = "def broken(:\n"


def test_the_commands_own_package_may_be_broken_too(tmp_path: Path) -> None:
    for name in ("quartapp", "alembic"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    user = (tmp_path / "quartapp/microblog/models/user.py").read_text()
    (tmp_path / "quartapp/microblog/models/user.py").write_text(user + SYNTAX_ERROR)
    environment = {"PYTHONPATH": str(tmp_path)}
    with development(tmp_path, app="quartapp", environment=environment) as server:
        broken = server.wait_for_text("/", "SyntaxError")
        assert str(tmp_path) in broken.text

        server.write("quartapp/microblog/models/user.py", user)
        server.wait_for_text("/login", "Sign In")

        package = (tmp_path / "quartapp/__init__.py").read_text()
        server.write("quartapp/__init__.py", package + SYNTAX_ERROR)
        server.wait_for_text("/login", "SyntaxError")

        server.write("quartapp/__init__.py", package)
        server.wait_for_text("/login", "Sign In")


def test_other_commands_do_not_import_the_application_before_they_run() -> None:
    code = (
        "import sys, quartapp.microblog.commands, quartapp.debugger.server.command, json;"
        "print(json.dumps([m for m in sys.modules if m.startswith('quartapp')]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert set(json.loads(result.stdout)) == {
        "quartapp",
        "quartapp.debugger",
        "quartapp.debugger.server",
        "quartapp.microblog",
        "quartapp.microblog.commands",
        "quartapp.debugger.server.command",
    }
