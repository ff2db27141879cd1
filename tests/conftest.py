"""Fixtures of this suite; those that other suites can use are in quartapp.testing, which pytest
loads by its entry point, and in quartapp.microblog.testing.

The parts and their tests need no microblog: without it, its plugin is left out.
"""

import asyncio
import gc
import os
import secrets
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import settings
from sqlalchemy.engine import make_url

if TYPE_CHECKING:  # pytest rewrites the assertions of a plugin, which must not be imported before
    from quartapp.testing import ForkServer

pytest_plugins = ["quartapp.microblog.testing"] if find_spec("quartapp.microblog") else []

POSTGRESQL = os.environ.get("QUARTAPP_TEST_POSTGRESQL", "")
REDIS = os.environ.get("QUARTAPP_TEST_REDIS", "")
CHROMIUM = os.environ.get("QUARTAPP_TEST_CHROMIUM") or shutil.which("chromium") or ""
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HTML_VALIDATE = os.environ.get("QUARTAPP_TEST_HTML_VALIDATE") or shutil.which("html-validate") or ""


def command_path(name: str) -> str:
    """Where a command is, also one of those for administrators; "" if it is not installed."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or ""


PGBOUNCER = os.environ.get("QUARTAPP_TEST_PGBOUNCER") or command_path("pgbouncer")
STRACE = shutil.which("strace") or ""
if STRACE and subprocess.call([STRACE, "-o", os.devnull, "true"], stderr=subprocess.DEVNULL):
    STRACE = ""  # as in a container that forbids it
REQUIRED = os.environ.get("QUARTAPP_TEST_REQUIRE", "").split(",")


# A shell's background job ignores SIGINT, and so would the servers that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Collections look at what the tests have made, and not at the modules and the tests themselves: a
# million objects, which take 0.3 s (see pytest_collection_finish). What a test has not closed is
# still found: soon by the frequent collections, otherwise at the end.
gc.disable()
gc.set_threshold(20_000, 10, 10)

# An example takes as long as other processes let it; what is slow has tests of its CPU time.
settings.register_profile("suite", deadline=None, print_blob=True)
settings.load_profile("suite")

CAUSE_ERRORS = [
    Path(__file__).parent / name
    for name in (
        "database",
        "debugger",
        "errors",
        "inbox",
        "flasklike",
        "logfile",
        "mail",
        "microblog/errors",
    )
]
CAUSE_ERRORS += [
    Path(__file__).parent / name
    for name in ("metrics", "reporting", "serving", "system", "test_request_ids.py", "testing")
]
"""Tests of what happens with errors, which are not errors of the tests (see docs/test.md)."""

HAVE_LOGS = [Path(__file__).parent / name for name in ("logfile", "errors")]

SYSTEM = [Path(__file__).parent / name for name in ("system", "benchmarks")]


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("quartapp.testing"):
        raise pytest.UsageError(
            "quartapp is installed without its pytest plugin: run `make install` again, or add "
            "`-p quartapp.testing` where it is not installed"
        )


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for path, of_file in groupby(items, key=lambda item: item.path):
        markers = list(markers_of(path))
        for item in of_file:
            for marker in markers:
                item.add_marker(marker)
    skip_what_lacks_its_service(items)
    if hasattr(config, "workerinput"):  # pytest-xdist
        start_long_files_first(items)


def markers_of(path: Path) -> Iterator[pytest.MarkDecorator]:
    """Those that all tests of a file have."""
    if any(path.is_relative_to(folder) for folder in SYSTEM):
        yield pytest.mark.system
    if any(path.is_relative_to(folder) for folder in CAUSE_ERRORS):
        yield pytest.mark.lenient("errors")
    if any(path.is_relative_to(folder) for folder in HAVE_LOGS):
        # The handler of an application that has ended stays, for later lines.
        yield pytest.mark.lenient("files", "threads")


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None:
        gc.collect()  # here, as a process of pytest-xdist ignores what it finds after the tests


def start_long_files_first(items: list[pytest.Item]) -> None:
    """Otherwise one process would still run the longest file when the others have finished."""
    lengths = Counter(item.path for item in items if is_long(item))
    items.sort(key=lambda item: -lengths[item.path])


def is_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("system", "slow"))


def skip_what_lacks_its_service(items: list[pytest.Item]) -> None:
    """Say why it is skipped. If the service is required, the test fails instead."""
    services = {
        "postgresql": (POSTGRESQL, "set QUARTAPP_TEST_POSTGRESQL to a server's address"),
        "redis": (REDIS, "set QUARTAPP_TEST_REDIS to a server's address"),
        "browser": (CHROMIUM, "install Chromium or set QUARTAPP_TEST_CHROMIUM to its path"),
        "pgbouncer": (PGBOUNCER, "install pgbouncer, or set QUARTAPP_TEST_PGBOUNCER to its path"),
        "strace": (STRACE, "install strace, where processes may be traced"),
        "html": (HTML_VALIDATE, "npm install html-validate, set QUARTAPP_TEST_HTML_VALIDATE"),
    }
    for item in items:
        for name, (present, advice) in services.items():
            if item.get_closest_marker(name) and not present and name not in REQUIRED:
                item.add_marker(pytest.mark.skip(reason=f"no {name}: {advice}"))
        for marker in item.iter_markers("needs"):
            for command in marker.args:
                if not (command_path(command) or command in REQUIRED):
                    item.add_marker(pytest.mark.skip(reason=f"no {command}: install it"))


@pytest.fixture
def isolate_database() -> bool:
    """Every test of this suite has a database of its own."""
    return False


@pytest.fixture(scope="session")
def fork_server() -> "Iterator[ForkServer]":
    """A process that has imported the parts and, where it is, the microblog."""
    from quartapp.testing import ForkServer

    servers = [f"quartapp.serving.{name}_server" for name in ("hypercorn", "uvicorn", "granian")]
    modules = ["tests.shop.app", "quartapp.serving.server", *servers, "asyncpg"]
    if find_spec("quartapp.microblog"):
        modules.append("quartapp.microblog.serve")
    server = ForkServer(modules)
    yield server
    server.close()


free_databases: list[str] = []
"""PostgreSQL databases of this process that are empty and that no test uses: to empty one is many
times faster than to drop it and to create another."""


@pytest.fixture
async def postgresql_url() -> AsyncIterator[str]:
    """An empty PostgreSQL database for this test."""
    async with new_postgresql() as url:
        yield url


@asynccontextmanager
async def new_postgresql() -> AsyncIterator[str]:
    """The address of an empty PostgreSQL database, which is emptied at the end."""
    if not free_databases:
        name = f"quartapp_{secrets.token_hex(6)}"
        await execute(f'CREATE DATABASE "{name}"')
        free_databases.append(name)
    name = free_databases.pop()
    address = make_url(POSTGRESQL).set(database=name, drivername="postgresql+asyncpg")
    try:
        yield address.render_as_string(hide_password=False)
        await execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            DROP_SCHEMAS,
            "CREATE SCHEMA public",
            database=name,
        )
    except BaseException:
        await execute(DROP.format(name))
        raise
    free_databases.append(name)


def pytest_sessionfinish() -> None:
    """Drop the databases of this process."""
    if free_databases:
        asyncio.run(execute(*map(DROP.format, free_databases)))


DROP_SCHEMAS = """DO $$ DECLARE name text; BEGIN
FOR name IN SELECT nspname FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
END $$"""
"""Also those that a test has made: the next one in this database expects none."""

DROP = 'DROP DATABASE IF EXISTS "{}" WITH (FORCE)'


async def execute(*statements: str, database: str | None = None) -> None:
    """Run statements on a database of the PostgreSQL server, each in a transaction."""
    connection = await asyncpg.connect(POSTGRESQL, database=database)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def each_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, on both engines in turn.

    A module runs all its tests on both with
    `@pytest.fixture def database_url(each_database_url: str) -> str: return each_database_url`.
    """
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url
