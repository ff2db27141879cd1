"""What starting does, and does not do, before the first response."""

import asyncio
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from quartapp.microblog import serve as microblog_serve
from quartapp.serving import server

LIBRARIES = """
aiofiles aiosqlite annotated_types blinker click flask greenlet h11 h2 hpack hypercorn
hyperframe itsdangerous jinja2 markupsafe priority pydantic pydantic_core quart quart_auth
quartapp sqlalchemy typing_extensions typing_inspection werkzeug wsproto wtforms
"""
"""Exactly the packages besides the standard library that a start loads. Each costs every start, and
every test that starts a process: import a further one where it is used, if a start does not use it,
as `quartapp.throttling.throttle` does (docs/decisions/0075)."""

STANDARD = """
abc array ast asyncio atexit base64 bdb binascii bisect bz2 calendar cmd code codecs codeop
collections concurrent contextlib contextvars copy copyreg csv dataclasses datetime decimal
difflib dis email encodings enum errno fcntl fnmatch fractions functools gc genericpath gettext
glob grp hashlib heapq hmac html http importlib inspect io ipaddress itertools json keyword
linecache locale logging lzma marshal math mimetypes multiprocessing ntpath numbers opcode operator
os pathlib pdb pickle pkgutil platform posix posixpath pprint pwd queue quopri random re readline
reprlib resource rlcompleter secrets select selectors shlex shutil signal site socket socketserver
sqlite3 ssl stat string stringprep struct subprocess sys sysconfig tempfile textwrap threading
time token tokenize tomllib traceback types typing unicodedata urllib uuid warnings weakref
wsgiref zipfile zipimport zlib zoneinfo
"""
"""What it loads of the standard library, in any version of Python."""

# Of packages that a start needs in part: these are only needed with mails, to register, for the
# API's document, or for PostgreSQL.
UNNEEDED = {
    "quartapp.debugger",
    "quartapp.mail.mailer",
    "quartapp.mail.smtp",
    "quartapp.metrics.extension",
    "quartapp.microblog.accounts.outbox",
    "quartapp.microblog.api.document",
    "quartapp.reporting.checks",
    "quartapp.reporting.mails",
    "quartapp.throttling.redis_counters",
    "sqlalchemy.dialects.postgresql",
}

START = """
import asyncio, sys
import quartapp.microblog.serve
from quartapp.microblog.app import create_app
from quartapp.serving.service import Service

async def serve():
    async with app.test_app():
        for path in ("/static/app.css", "/login"):
            assert (await app.test_client().get(path)).status_code == 200

app = Service(create_app).make()
asyncio.run(serve())
print(*sys.modules)
"""

IMPORT_TIME = re.compile(r"^import time: +(\d+) \| +\d+ \| ( *)(\S+)$", re.MULTILINE)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folders = {"INSTANCE_PATH": str(tmp_path), "LOG_DIR": str(tmp_path)}
    return {"ENVIRONMENT": "development", "PATH": "", **folders}


def importer(name: str, report: str) -> str:
    """Who imports a module, from the module to ours, and the milliseconds of its own.

    `-X importtime` prints a module after those that it imports, which are indented.
    """
    found = [(int(us), len(depth), each) for us, depth, each in IMPORT_TIME.findall(report)]
    place = next(i for i, (_, _, each) in enumerate(found) if each == name)
    chain, depth = [f"{name} ({found[place][0] / 1000:.1f} ms)"], found[place][1]
    for _, outer, each in found[place + 1 :]:
        if outer < depth:
            chain.append(each)
            depth = outer
        if chain[-1].startswith("quartapp."):
            break
    return " <- ".join(chain)


def test_a_start_loads_what_its_first_pages_need(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-X", "importtime", "-c", START]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {name for _, _, name in IMPORT_TIME.findall(done.stderr)} & set(done.stdout.split())
    packages = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    standard = packages & sys.stdlib_module_names
    libraries = packages - standard - {"sitecustomize"}
    new = (
        (standard - set(STANDARD.split()))
        | (libraries - set(LIBRARIES.split()))
        | (UNNEEDED & loaded)
    )
    assert not new, "\n".join(importer(name, done.stderr) for name in sorted(new))
    assert libraries == set(LIBRARIES.split())


def test_who_imports_a_module_is_named() -> None:
    report = """
import time: self [us] | cumulative | imported package
import time:       100 |        100 |       mako.util
import time:      2500 |       2600 |     mako
import time:        30 |       2630 |   alembic
import time:        30 |         30 |   re
import time:        10 |       2670 | quartapp.shop
"""
    assert importer("mako", report) == "mako (2.5 ms) <- alembic <- quartapp.shop"


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

    async def serve(_: object, listener: socket.socket, *__: object) -> None:
        listener.close()
        loops.append(type(asyncio.get_running_loop()).__module__)

    monkeypatch.setattr(server, "_serve_with", lambda _: serve)
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
