"""`Reporting` on applications that know nothing else of quartapp."""

import asyncio
import logging
import logging.config
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from quart import Quart, current_app
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from quartapp.database import Database, DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.flasklike import App
from quartapp.reporting import Reporting, metadata
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.checks.doctor import examine
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.report import Report
from quartapp.reporting.schema import VERSION
from quartapp.reporting.tables import ErrorAlert, ErrorGroup
from quartapp.settings import ConfigurationError
from quartapp.testing import MailServer

Make = Callable[..., Quart]


@pytest.fixture(params=[Quart, App])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def make(name: str = "shop", **config: object) -> Quart:
        app: Quart = request.param(
            name, root_path=str(tmp_path), instance_path=str(tmp_path / "instance")
        )
        app.config.from_mapping(config)
        app.add_url_rule("/boom", view_func=boom)
        return app

    return make


async def boom() -> str:
    raise LookupError("nothing here")


def pipeline_of(app: Quart) -> Pipeline:
    found: Pipeline = app.extensions["reporting"]
    return found


def connections() -> list[str]:
    """The threads of SQLite's connections."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name == "sqlite"]


async def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while True:
        if is_so() or time.monotonic() > deadline:
            return is_so()
        await asyncio.sleep(0.01)


async def counted(app: Quart, wanted: int) -> int:
    """Flush until so many errors are counted: the application's task counts at the same time."""
    pipeline = pipeline_of(app)
    deadline = time.monotonic() + 30
    while True:
        await pipeline.flush()
        async with pipeline.database.session(write=False) as session:
            number = int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0)
        if number >= wanted or time.monotonic() > deadline:
            return number
        await asyncio.sleep(0.05)


async def test_errors_are_counted_in_a_file_that_is_made_by_itself(
    make: Make, tmp_path: Path
) -> None:
    app = make()
    Reporting(app)
    assert not (tmp_path / "instance").exists(), "nothing is made before it serves"
    async with app.test_app():
        for _ in range(3):
            assert (await app.test_client().get("/boom")).status_code == 500
        assert await counted(app, 3) == 3
        assert len(connections()) == 1
    assert (tmp_path / "instance" / "errors.db").stat().st_mode & 0o077 == 0
    assert (tmp_path / "instance").stat().st_mode & 0o077 == 0
    assert await eventually(lambda: not connections())


async def test_a_restart_counts_what_the_journal_has(make: Make) -> None:
    first = make()
    Reporting(first)
    await first.test_client().get("/boom")  # it does not serve: nothing counts
    pipeline_of(first).journal.close()
    second = make()
    Reporting(second)
    async with second.test_app():
        assert await counted(second, 1) == 1


async def test_one_object_serves_several_applications(make: Make, tmp_path: Path) -> None:
    reporting = Reporting()
    shop, bank = make("shop"), make("bank")
    bank.instance_path = str(tmp_path / "bank")
    for app in (shop, bank):
        reporting.init_app(app)
    assert pipeline_of(shop) is not pipeline_of(bank)
    assert pipeline_of(shop).journal.folder != pipeline_of(bank).journal.folder


@pytest.mark.parametrize("first", [0, 1])
async def test_the_application_that_serves_on_has_the_process(
    make: Make, tmp_path: Path, first: int
) -> None:
    """Two of one name, of which either may end first."""
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    apps = [make(), make()]
    found: list[list[str]] = [[], []]
    for number, app in enumerate(apps):
        app.instance_path = str(tmp_path / str(number))
        Reporting(app)
        listeners = pipeline_of(app).recorder.listeners
        listeners.append(lambda report, n=number: found[n].append(report.mechanism))  # type: ignore[misc]
        app.add_url_rule("/log", view_func=log)
    served = [app.test_app() for app in apps]
    for one in served:
        await one.startup()
    for number, app in enumerate(apps):
        await app.test_client().get("/log")
        assert found == [["log"], ["log"] * number]
    await served[first].shutdown()
    fail_in_process(apps[1 - first])
    assert found[first] == ["log"]
    assert found[1 - first] == ["log", "thread", "loop", "log"]
    await served[1 - first].shutdown()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == hooks


async def log() -> str:
    current_app.logger.error("A line of the log")
    return "logged"


def fail_in_process(app: Quart) -> None:
    """Fail in a thread, in the loop, and log outside of requests."""
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    asyncio.get_running_loop().call_exception_handler({"message": "A lost task"})
    app.logger.error("Outside of requests")


def test_a_second_reporting_is_refused(make: Make) -> None:
    app = make()
    Reporting(app)
    handlers = logging.getLogger("shop").handlers[:]
    with pytest.raises(
        RuntimeError, match="Reporting is installed in the application 'shop' already"
    ):
        Reporting(app)
    assert logging.getLogger("shop").handlers == handlers


async def test_an_application_that_serves_is_refused(make: Make) -> None:
    app = make()
    async with app.test_app():
        with pytest.raises(RuntimeError, match="begun to serve"):
            Reporting(app)
    assert "reporting" not in app.extensions


def test_a_misspelled_setting_is_refused(make: Make) -> None:
    with pytest.raises(ConfigurationError, match=r"MAIL_SEVER.*did you mean MAIL_SERVER"):
        Reporting(make(MAIL_SEVER="mail.example.com"))


async def test_an_application_may_have_our_name(make: Make) -> None:
    app = make("quartapp")
    Reporting(app)
    async with app.test_app():
        await app.test_client().get("/boom")
        app.logger.error("no exception")
        logging.getLogger("quartapp.reporting.pipeline").error("what must not be reported")
        assert await counted(app, 2) == 2


async def test_what_wraps_the_application_later_is_seen_too(make: Make) -> None:
    app = make()
    Reporting(app)
    inner = app.asgi_app

    async def refusing(scope: object, receive: object, send: Callable[..., object]) -> None:
        if scope["type"] != "http" or scope["path"] != "/full":  # type: ignore[index]  # a dict
            await inner(scope, receive, send)  # type: ignore[arg-type]  # ASGI's
            return
        await send({"type": "http.response.start", "status": 503, "headers": []})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[misc]

    app.asgi_app = refusing  # type: ignore[method-assign]
    async with app.test_app():
        await app.test_client().get("/full")
        await app.test_client().get("/boom")
        assert await counted(app, 2) == 2


async def test_an_application_without_a_writable_folder_serves(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "instance").touch()
    app = make()
    Reporting(app)
    async with app.test_app():
        assert (await app.test_client().get("/boom")).status_code == 500
        await pipeline_of(app).count()
        await asyncio.sleep(0)
        assert "Errors cannot be counted" in caplog.text
        assert pipeline_of(app).recorder.owed == 1


async def test_a_file_of_a_newer_release_is_left_alone(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = make(), make()
    Reporting(first)
    async with first.test_app():
        await pipeline_of(first).prepare()
        async with pipeline_of(first).database.begin() as session:
            await session.execute(text("UPDATE error_schema SET version = 99"))
    before = (tmp_path / "instance" / "errors.db").read_bytes()
    Reporting(second)
    async with second.test_app():
        pipeline = pipeline_of(second)
        assert (await second.test_client().get("/boom")).status_code == 500
        for _ in range(2):
            await pipeline.count()
        said = "the journal keeps them: the database of errors has version 99"
        assert caplog.text.count(said) == 1
        findings = {finding.part: finding async for finding in examine(pipeline)}
        assert not findings["database"].is_well
        assert "install the release" in findings["database"].text
    pipeline.journal.close()  # as at the end of its process
    assert (tmp_path / "instance" / "errors.db").read_bytes() == before
    third = make()
    Reporting(third)
    downgrade = text(f"UPDATE error_schema SET version = {VERSION}")
    async with pipeline_of(third).database.begin() as session:
        await session.execute(downgrade)
    async with third.test_app():
        assert await counted(third, 1) == 1, "the journal has kept it"


async def test_a_file_that_is_removed_is_made_again(make: Make, tmp_path: Path) -> None:
    app = make()
    Reporting(app)
    async with app.test_app():
        await app.test_client().get("/boom")
        await pipeline_of(app).count()
        for path in (tmp_path / "instance").glob("errors.db*"):
            path.unlink()
        await app.test_client().get("/boom")
        await pipeline_of(app).count()
        assert await counted(app, 2) == 2, "this process's segment still has both"


async def test_connections_to_a_deleted_file_are_closed_at_the_end(
    make: Make, tmp_path: Path
) -> None:
    app = make()
    Reporting(app, database=DatabaseEngine(f"sqlite:///{tmp_path}/shop.db"))
    async with app.test_app():
        await pipeline_of(app).database.ping()
        (tmp_path / "shop.db").unlink()
    pool: Any = pipeline_of(app).database.engine.pool
    assert pool.checkedin() == 0


@pytest.mark.parametrize("stock", [True, False])
async def test_missing_tables_of_an_application_are_one_sentence(
    stock: bool, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    app = make()
    Reporting(app, database=create_async_engine(url) if stock else DatabaseEngine(url))
    async with app.test_app():
        await app.test_client().get("/boom")
        await pipeline_of(app).count()
        assert "Errors cannot be counted, the journal keeps them" in caplog.text
        findings = {finding.part: finding.text async for finding in examine(pipeline_of(app))}
        assert "run 'quartapp db upgrade' first" in findings["database"]
        assert "target_metadata needs quartapp.reporting.metadata" in findings["database"]
        async with pipeline_of(app).database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)  # what the migration does
        assert await counted(app, 1) == 1
    await pipeline_of(app).database.dispose()  # who hands an engine in closes it
    assert not (tmp_path / "instance" / "errors.db").exists()


async def test_the_extension_for_databases_may_be_handed_in(make: Make, tmp_path: Path) -> None:
    app = make(DATABASE_URL=f"sqlite:///{tmp_path}/shop.db")
    database = Database()
    with pytest.raises(RuntimeError, match="Install the database"):
        Reporting(app, database=database)
    assert "reporting" not in app.extensions
    database.init_app(app)
    Reporting(app, database=database)
    assert pipeline_of(app).database is app.extensions["database"]


def test_anything_else_is_no_database(make: Make) -> None:
    with pytest.raises(TypeError, match="not str"):
        Reporting(make(), database="sqlite://")  # type: ignore[arg-type]


async def test_a_database_of_errors_alone_may_be_named(
    make: Make, each_database_url: str, tmp_path: Path
) -> None:
    app = make(ERRORS_DATABASE_URL=each_database_url)
    Reporting(app, database=DatabaseEngine(f"sqlite:///{tmp_path}/shop.db"))
    async with app.test_app():
        await app.test_client().get("/boom")
        assert await counted(app, 1) == 1
    assert not (tmp_path / "shop.db").exists(), "the setting takes precedence"


def test_its_relative_file_is_in_the_instance_folder(make: Make, tmp_path: Path) -> None:
    app = make(ERRORS_DATABASE_URL="sqlite:///counts.db")
    Reporting(app)
    file = pipeline_of(app).database.engine.url.database
    assert file == str(tmp_path / "instance" / "counts.db"), "not in the working directory"


@pytest.mark.slow
async def test_a_burst_is_one_mail_with_the_exact_count_and_no_secret(
    make: Make, mail_server: MailServer
) -> None:
    app = make(
        "bank",
        MAIL_SERVER=mail_server.host,
        MAIL_PORT=str(mail_server.port),
        ADMINS="ops@example.com, dev@example.com",
        STRIPE_API_KEY="canary-4242",
        RELEASE="7.1",
    )
    Reporting(app, user_id=lambda: "42")

    @app.get("/pay")
    async def pay() -> str:
        raise RuntimeError(f"refused: {app.config['STRIPE_API_KEY']}")

    async with app.test_app():
        # Together: a round of counting between them would mail what it finds.
        await asyncio.gather(*(app.test_client().get("/pay") for _ in range(50)))
        pipeline = pipeline_of(app)
        assert await counted(app, 50) == 50
        async with pipeline.database.begin() as session:
            later = await database_now(session) + Limits().initial_delay
            await evaluation.wake(session, pipeline.consumer.rules, later)
            await session.execute(update(ErrorAlert).values(due_at=0.0))
        assert pipeline.mailer is not None
        await pipeline.mailer.send_due()
    [mail] = mail_server.mails
    assert mail.recipients == ("ops@example.com", "dev@example.com")
    assert mail.message["Subject"].startswith("[bank prod] NEW RuntimeError in ")
    assert "50 times" in mail.text
    assert "7.1" in mail.text
    assert "canary" not in mail.message.as_string()


async def no_text() -> str:
    return "7"


@pytest.mark.lenient("coroutines")
@pytest.mark.filterwarnings("ignore:coroutine 'no_text' was never awaited")
async def test_who_it_was_is_of_any_type_and_costs_no_report(make: Make) -> None:
    answers: list[Callable[[], object]] = [
        lambda: None,
        lambda: 7,
        lambda: UUID(int=7),
        lambda: True,
        no_text,
    ]
    remaining = list(answers)
    app = make()
    Reporting(app, user_id=lambda: remaining.pop(0)())  # type: ignore[arg-type, return-value]
    reports: list[Report] = []
    pipeline_of(app).recorder.listeners.append(reports.append)
    async with app.test_app():
        for _ in answers:
            await app.test_client().get("/boom")
    assert [report.exceptions[0].message for report in reports] == ["nothing here"] * len(answers)
    assert [report.user_id for report in reports] == ["", "7", str(UUID(int=7)), "", ""]


async def test_a_secret_that_is_configured_later_is_hidden_too(make: Make) -> None:
    app = make()
    Reporting(app)
    app.config["STRIPE_API_KEY"] = "canary-4242"

    @app.get("/pay")
    async def pay() -> str:
        raise RuntimeError("refused: canary-4242")

    reports: list[Report] = []
    pipeline_of(app).recorder.listeners.append(reports.append)
    async with app.test_app():
        await app.test_client().get("/pay")
    [report] = reports
    assert "canary" not in report.to_json()


@pytest.mark.slow
async def test_machines_share_a_database_which_the_first_one_makes(
    make: Make, each_database_url: str, tmp_path: Path
) -> None:
    machines = [make(ERRORS_DATABASE_URL=each_database_url) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for number, app in enumerate(machines):
            app.instance_path = str(tmp_path / f"machine-{number}")
            Reporting(app)
            await stack.enter_async_context(app.test_app())  # type: ignore[arg-type]  # its types
        for app in machines:
            await asyncio.gather(*(app.test_client().get("/boom") for _ in range(5)))
        await asyncio.gather(*(pipeline_of(app).count() for app in machines))
        assert [await counted(app, 15) for app in machines] == [15] * 3


async def test_a_logging_config_that_removes_handlers_does_no_harm(make: Make) -> None:
    app = make()
    Reporting(app)
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "loggers": {"shop": {"level": "INFO"}}}
    )
    assert not logging.getLogger("shop").handlers
    async with app.test_app():
        app.logger.error("no exception")
        assert await counted(app, 1) == 1


def test_the_code_below_its_folder_is_the_applications(make: Make, tmp_path: Path) -> None:
    app = make("shop")
    Reporting(app)
    places = pipeline_of(app).recorder.places
    own = places.of(str(tmp_path / "web" / "pages.py"))
    assert (own.in_app, own.identity) == (True, "shop/web/pages.py")
    library = tmp_path / ".venv" / "lib" / "site-packages" / "quart" / "app.py"
    assert not places.of(str(library)).in_app


async def test_its_release_is_that_of_its_package(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("shop")
    package.__version__ = "2.5"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop", package)
    app = make("shop")
    Reporting(app)
    reports: list[Report] = []
    pipeline_of(app).recorder.listeners.append(reports.append)
    await app.test_client().get("/boom")
    assert [report.origin.release for report in reports] == ["2.5"]


def test_a_release_that_was_read_as_a_number_is_a_text_unless_it_has_lost_digits(
    make: Make,
) -> None:
    """As with QUART_RELEASE=12 and `from_prefixed_env`."""
    app = make(RELEASE=12)
    Reporting(app)
    assert pipeline_of(app).recorder.origin.release == "12"
    with pytest.raises(ConfigurationError, match="RELEASE: expected a text: put quotes around it"):
        Reporting(make(RELEASE=1.10))
