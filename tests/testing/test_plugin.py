"""quartapp.testing in the suite of another application."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx  # noqa: F401 - imported once for all suites that run in this process
import pytest
import quart.testing  # noqa: F401

import quartapp.testing.applications  # noqa: F401
from quartapp.testing import Clock

FOREIGN = Path(__file__).parent / "foreign"


@pytest.mark.slow
def test_the_fixtures_work_for_another_application(tmp_path: Path) -> None:
    shutil.copy(FOREIGN / "application.py", tmp_path / "conftest.py")
    shutil.copy(FOREIGN / "suite.py", tmp_path / "test_suite.py")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\n"
        "asyncio_mode = auto\n"
        "asyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=250
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "12 passed" in result.stdout


WITHOUT = (
    "-p",
    "no:cacheprovider",
    "-p",
    "no:schemathesis",
    "-p",
    "no:xdist",
    "-p",
    "no:anyio",
    "-p",
    "no:hypothesispytest",
)

CONFIGURED = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

APP = """
import asyncio, pytest
from quart import Quart

@pytest.fixture
def app():
    made = Quart("theirs")
    made.loops = []

    @made.before_serving
    async def start():
        made.loops.append(asyncio.get_running_loop())

    @made.after_serving
    async def stop():
        made.loops.append(None)

    @made.get("/")
    async def index():
        return "hello"

    return made
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(CONFIGURED.format(mode="auto"))
    pytester.makeconftest(APP)
    return pytester


def run(suite: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    suite.makepyfile(source)
    return suite.runpytest_inprocess(*WITHOUT, *options)


@pytest.mark.slow
def test_loading_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    print('LOADED', *sorted(name.partition('.')[0] for name in sys.modules))\n"
        "    print('OURS', *sorted(name for name in sys.modules if name.startswith('quartapp')))\n"
    )
    command = [sys.executable, "-m", "pytest", "-s", "--co", "-p", "no:cacheprovider"]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    [loaded], [ours] = (
        re.findall(rf"^{word} (.*)$", result.stdout, re.M) for word in ("LOADED", "OURS")
    )
    assert not {"quart", "sqlalchemy", "aiosmtpd", "werkzeug", "httpx"} & set(loaded.split())
    assert ours.split() == [
        "quartapp",
        "quartapp.testing",
        "quartapp.testing.clock",
        "quartapp.testing.fixtures",
        "quartapp.testing.plugin",
    ]


@pytest.mark.parametrize("scope", ["function", "module", "session"])
@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_an_application_is_started_in_the_loop_of_the_test(
    suite: pytest.Pytester, mode: str, scope: str
) -> None:
    suite.makeini(CONFIGURED.format(mode=mode))
    result = run(
        suite,
        f"""
        import asyncio, pytest
        pytestmark = pytest.mark.asyncio(loop_scope={scope!r})
        seen = []

        @pytest.mark.parametrize("run", [1, 2])
        async def test_one(app, client, run):
            assert app.loops == [asyncio.get_running_loop()]
            assert (await client.get("/")).status_code == 200
            seen.append(app)

        async def test_stopped():
            assert all(app.loops[-1] is None for app in seen)
        """,
    )
    result.assert_outcomes(passed=3)


def test_an_app_that_the_suite_has_started_is_not_started_again(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
        import pytest
        from quartapp.testing import started

        @pytest.fixture(params=["ours", "quart's"])
        async def app(app, request):
            async with started(app) if request.param == "ours" else app.test_app():
                yield app
            assert app.loops[1:] == [None]

        async def test_one(app, client):
            assert len(app.loops) == 1
        """,
    )
    result.assert_outcomes(passed=2)


def test_factories_and_other_asgi_applications(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
        import pytest
        from quart import Quart

        steps = []

        async def asgi(scope, receive, send):
            if scope["type"] == "lifespan":
                for step in ("startup", "shutdown"):
                    assert (await receive())["type"] == f"lifespan.{step}"
                    steps.append(step)
                    await send({"type": f"lifespan.{step}.complete"})
            else:
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body"})

        class WithoutLifespan:
            async def __call__(self, scope, receive, send):
                if scope["type"] != "http":
                    raise RuntimeError("only http")
                await asgi(scope, receive, send)

        def factory():
            return asgi

        async def awaited():
            return asgi

        @pytest.mark.parametrize("app", [asgi, WithoutLifespan(), factory, awaited])
        async def test_asgi(client):
            assert (await client.get("/")).status_code == 204

        @pytest.mark.parametrize("app", [lambda: Quart("made")])
        async def test_quart(client, started_app):
            assert (await client.get("/")).status_code == 404
            assert isinstance(started_app, Quart)

        def test_all_were_stopped():
            assert steps == ["startup", "shutdown"] * 3
        """,
    )
    result.assert_outcomes(passed=6)


def test_what_is_no_application_is_refused(suite: pytest.Pytester) -> None:
    result = run(
        suite,
        """
        import pytest
        @pytest.mark.parametrize("app", [None, {}, lambda: "x"])
        async def test_one(client):
            pass
        """,
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*the fixture `app` gave NoneType: None*"])


def test_without_an_app_the_error_says_what_to_write(suite: pytest.Pytester) -> None:
    suite.makeconftest("")
    result = run(suite, "async def test_one(client): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*There is no fixture `app`. Write one in conftest.py*"])


def test_the_fixtures_of_others_win(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        other_plugin="""
        import pytest
        @pytest.fixture
        def client():
            return "another plugin's"
        @pytest.fixture(name="clock")
        def other():
            return "another plugin's clock"
        """
    )
    suite.makeconftest("import pytest\n@pytest.fixture\ndef session(): return 'of conftest.py'")
    source = """
        def test_one(client, clock, session):
            assert (client, clock) == ("another plugin's", "another plugin's clock")
            assert session == "of conftest.py"
    """
    suite.syspathinsert()
    for options in ((), ("-p", "no:asyncio")):
        result = run(suite, source, "-p", "other_plugin", *options, "-W", "default")
        result.assert_outcomes(passed=1)


def test_a_suite_that_enables_the_plugin_itself_goes_on(suite: pytest.Pytester) -> None:
    suite.makeconftest('pytest_plugins = ["quartapp.testing"]')
    run(suite, "def test_one(database_url): assert database_url").assert_outcomes(passed=1)


def test_a_clock_moves_when_it_is_moved() -> None:
    clock = Clock(datetime(2030, 1, 1, 12, tzinfo=UTC))
    assert clock() == clock() == datetime(2030, 1, 1, 12, tzinfo=UTC)
    clock.advance(minutes=2, seconds=-1)
    assert clock() == datetime(2030, 1, 1, 12, 1, 59, tzinfo=UTC)
