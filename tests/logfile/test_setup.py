"""`LogFile(app)` in anybody's application."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from quart import Quart

from quartapp.flasklike import App
from quartapp.logfile import LogFile
from quartapp.logfile.handler import ThreadedHandler
from quartapp.settings import ConfigurationError

SECRET = "hunter2-canary"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; what a test attaches to loggers is removed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root, "handlers", [])
    yield tmp_path
    for handler in (*handlers("till"), *handlers("shelf")):
        handler.close()
        logging.getLogger("till").removeHandler(handler)
        logging.getLogger("shelf").removeHandler(handler)


def handlers(name: str) -> list[ThreadedHandler]:
    return [one for one in logging.getLogger(name).handlers if isinstance(one, ThreadedHandler)]


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def written(app: Quart) -> str:
    for handler in handlers(app.name):
        handler.flush()
    return Path("logs", f"{app.name}.log").read_text("utf-8")


@pytest.mark.parametrize("kind", [Quart, App])
async def test_the_file_has_the_name_of_the_application_and_no_secret(kind: type[Quart]) -> None:
    app = kind("till")
    app.config["STRIPE_API_KEY"] = SECRET
    LogFile(app)
    async with app.test_app():
        app.logger.warning("the key %s is refused", SECRET)
        text = written(app)
    assert "INFO: Till startup [in " in text
    assert "WARNING: the key [hidden] is refused [in " in text


async def test_one_object_serves_several_applications() -> None:
    log_file = LogFile()
    till, shelf = Quart("till"), Quart("shelf")
    for app in (till, shelf):
        log_file.init_app(app)
    async with till.test_app(), shelf.test_app():
        till.logger.warning("of the till")
        shelf.logger.warning("of the shelf")
        assert "of the till" in written(till)
        assert "of the till" not in written(shelf)


def test_nothing_is_made_before_it_serves(folder: Path) -> None:
    app = Quart("till")
    LogFile(app)
    [handler] = handlers("till")
    assert handler._thread is None
    assert files(folder) == []


def test_a_second_one_is_an_error() -> None:
    app = Quart("till")
    LogFile(app)
    with pytest.raises(
        RuntimeError, match="LogFile is installed in the application 'till' already"
    ):
        LogFile(app)


async def test_a_late_one_is_an_error() -> None:
    app = Quart("till")
    async with app.test_app():
        with pytest.raises(RuntimeError, match="'till' has begun to serve"):
            LogFile(app)


def test_a_wrong_setting_is_an_error_and_installs_nothing() -> None:
    app = Quart("till")
    app.config["LOG_MAX_BYTES"] = "1 MB"
    with pytest.raises(ConfigurationError, match="LOG_MAX_BYTES: expected a valid integer"):
        LogFile(app)
    assert "logfile" not in app.extensions
    assert handlers("till") == []


async def test_testing_is_read_when_the_application_starts(folder: Path) -> None:
    app = Quart("till")
    LogFile(app)
    app.testing = True
    async with app.test_app():
        app.logger.warning("in a test")
    assert files(folder) == []
