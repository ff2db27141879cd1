"""What starting does, and does not do, before the first response."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from quartapp.microblog import serve as microblog_serve
from quartapp.serving import server

# They are only needed to register, for the API's document, or for PostgreSQL.
UNNEEDED = {
    "aiosmtpd",
    "alembic",
    "attr",
    "confusable_homoglyphs",
    "email_validator",
    "mako",
    "quart_schema",
    "quartapp.debugger",
    "redis",
    "sentry_sdk",
    "sqlalchemy.dialects.postgresql",
    "uvloop",
    "zxcvbn",
}

SERVE_ON_SQLITE = """
import sys
import quartapp.serving.server
from quartapp.microblog.app import create_app
quartapp.serving.server.Service(create_app).make()
print(*sys.modules)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folders = {"INSTANCE_PATH": str(tmp_path), "LOG_DIR": str(tmp_path)}
    return {"ENVIRONMENT": "development", "PATH": "", **folders}


def test_an_application_is_made_without_what_it_does_not_need(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SERVE_ON_SQLITE]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    assert {"quart", "sqlalchemy.dialects.sqlite"} <= modules
    assert not UNNEEDED & modules


@pytest.mark.parametrize(
    ("database_url", "module"),
    [
        ("sqlite:///microblog.db", "asyncio.unix_events"),
        ("postgresql://user@127.0.0.1/microblog", "uvloop"),
    ],
)
def test_uvloop_is_for_a_database_behind_a_socket(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, database_url: str, module: str
) -> None:
    loops = []

    async def serve(*_: object, **__: object) -> None:
        loops.append(type(asyncio.get_running_loop()).__module__)

    monkeypatch.setattr(server, "serve", serve)
    for name, value in (environment | {"DATABASE_URL": database_url, "PORT": "0"}).items():
        monkeypatch.setenv(name, value)
    assert microblog_serve.main() == 0
    assert loops == [module]


INTERRUPT_AT_AN_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *more):
        if name == "hypercorn":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


def test_ctrl_c_at_once_shows_no_traceback(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT_AT_AN_IMPORT)
    command = [sys.executable, str(Path(__file__).parents[3] / "run.py")]
    variables = environment | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")
