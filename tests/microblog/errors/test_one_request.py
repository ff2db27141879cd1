"""From the id of a response to the log lines and the page of its error."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.flasklike import App
from quartapp.logfile.handler import ThreadedHandler
from quartapp.microblog.config import Settings
from quartapp.microblog.database import db
from quartapp.microblog.models.user import update_user
from quartapp.microblog.testing import LogIn
from quartapp.testing import Client

LOGGERS = ("quartapp", "quartapp.security")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"log_format": "json", "access_log": True})


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    logging.root.handlers = []  # those of pytest
    yield
    for logger in map(logging.getLogger, LOGGERS):
        for one in [each for each in logger.handlers if isinstance(each, ThreadedHandler)]:
            one.close()
            logger.removeHandler(one)
        logger.propagate = True


def written(folder: Path) -> dict[str, list[dict[str, object]]]:
    """The lines of each log: all of them are JSON."""
    for logger in map(logging.getLogger, LOGGERS):
        for one in logger.handlers:
            one.flush()
    return {
        path.stem: [json.loads(line) for line in path.read_text("ascii").splitlines()]
        for path in folder.glob("*.log")
    }


@pytest.mark.slow
@pytest.mark.lenient("errors")
async def test_the_id_is_everywhere(
    app: App, client: Client, log_in: LogIn, settings: Settings
) -> None:
    ada = await log_in("ada")
    async with app.app_context():
        await update_user(db, 1, is_admin=True)
    await client.get("/reset_password/canary-of-a-token?next=/x&token=canary-of-a-token")
    await client.post("/api/tokens", auth=("ada", "not-her-password"))
    response = await client.get("/boom")
    name = response.headers["X-Request-ID"]
    await app.extensions["reporting"].flush()
    await ada.get("/explore")
    page = await (await ada.get("/errors/1")).get_data(as_text=True)
    assert f'<th scope="row">Request id</th><td>{name}</td>' in page
    await app.extensions["logfile"].end()
    logs = written(settings.log_dir)
    assert logs.keys() == {"microblog", "security", "access"}
    [error] = [line for line in logs["microblog"] if line["level"] == "ERROR"]
    assert (error["request_id"], error["route"]) == (name, "/boom")
    assert str(error["reference"]) in await response.get_data(as_text=True)
    [access] = [line for line in logs["access"] if line["request_id"] == name]
    assert (access["path"], access["status"]) == ("/boom", 500)
    [login] = logs["security"]
    assert (login["logger"], login["message"]) == ("quartapp.security", "login-failed")
    assert login["extra"]["user_id"] == 1  # type: ignore[index]
    assert login["request_id"] in {line["request_id"] for line in logs["access"]}
    assert "canary-of-a-token" not in str(logs)
