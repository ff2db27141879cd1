"""What pytest loads at its start. It imports nothing but pytest, so that a suite that uses none of
its fixtures pays nothing for it."""

import inspect
import sys
from collections.abc import Generator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from quartapp.testing import fixtures

if TYPE_CHECKING:
    from quartapp.testing.strictness.watch import Watch

MARKERS = (
    "max_queries(n): fails if the test executes more than n SQL statements",
    "strict(*kinds): fails if the test leaves something behind, blocks its loop or causes errors",
    "lenient(*kinds): what a strict test may do: tasks, threads, connections, files, coroutines, "
    "blocks, errors; without arguments all of it",
)

WATCH: "pytest.StashKey[Watch]" = pytest.StashKey()
STRICT: pytest.StashKey[bool] = pytest.StashKey()
KINDS: pytest.StashKey[frozenset[str]] = pytest.StashKey()

_FIXTURE = type(fixtures.app)
_NAMES = {name for name, value in vars(fixtures).items() if type(value) is _FIXTURE}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("quartapp_strict", "strict for all tests; see `pytest --markers`", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures, without those that another plugin has under the same name."""
    config.stash[STRICT] = bool(config.getini("quartapp_strict"))
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    taken = {
        value.name
        for plugin_name, plugin in config.pluginmanager.list_name_plugin()
        # Fixtures of a conftest.py are for its folder, and win there.
        if isinstance(plugin, ModuleType) and not plugin_name.endswith("conftest.py")
        for value in vars(plugin).values()
        if type(value) is _FIXTURE
    }
    offered = ModuleType(fixtures.__name__, fixtures.__doc__)
    for name in _NAMES - taken:
        setattr(offered, name, getattr(fixtures, name))
    config.pluginmanager.register(offered, "quartapp.testing.fixtures")


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around the wrapper of pytest-asyncio
def pytest_fixture_setup(
    fixturedef: "pytest.FixtureDef[Any]", request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Let pytest-asyncio run an async fixture of this plugin in the event loop of the test."""
    plugin: Any = sys.modules.get("pytest_asyncio")
    if plugin is not None and fixturedef.func.__module__ == fixtures.__name__:
        marker = request.node.get_closest_marker("asyncio")
        if marker is not None and inspect.isasyncgenfunction(fixturedef.func):
            scope = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
            scope = scope or request.config.getini("asyncio_default_test_loop_scope")
            plugin.fixture(fixturedef.func, loop_scope=scope)
    if fixturedef.scope == "function" or WATCH not in request.config.stash:
        return (yield)
    with request.config.stash[WATCH].keeping():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let an application that is made for the test find the mail server."""
    names = getattr(item, "fixturenames", [])
    if "mail_server" in names:
        names.remove("mail_server")
        names.insert(0, "mail_server")
    if not (item.config.stash[STRICT] or item.get_closest_marker("strict")):
        return
    from quartapp.testing.strictness.watch import Watch, kinds_of

    if kinds := kinds_of(item, item.config.stash[STRICT]):
        item.stash[KINDS] = kinds
        if WATCH not in item.config.stash:
            item.config.stash[WATCH] = Watch()
        item.config.stash[WATCH].begin(kinds)
        if item.get_closest_marker("asyncio") or "anyio_backend" in names:
            names.insert(0, "_watched_loop")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """See `quartapp.testing.strictness`."""
    kinds = item.stash.get(KINDS, None)
    if kinds is None:
        return (yield)
    from quartapp.testing.strictness.watch import watched

    return (yield from watched(item.config.stash[WATCH], item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    marker = item.get_closest_marker("max_queries")
    if marker is None:
        return (yield)
    from quartapp.testing.queries import max_queries

    given: dict[str, Any] = getattr(item, "funcargs", {})
    with max_queries(marker.args[0], given.get("started_app", given.get("app"))):
        return (yield)
