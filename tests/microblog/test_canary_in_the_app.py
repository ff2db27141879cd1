"""A secret in a request to the application itself is in no file: journal, database, log."""

import logging
from pathlib import Path

import pytest
from quart import request

from quartapp.database import DatabaseEngine
from quartapp.logfile.handler import ThreadedHandler
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.testing import create_tables
from quartapp.reporting import secrets_of
from tests.reporting.canary import CORE, leaks
from tests.reporting.conftest import eventually_counted


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: path.read_bytes().decode("utf-8", "replace") for path in files}


@pytest.mark.parametrize(
    "place", ["path", "form", "header", "cookie", "query", "setting", "path before the view"]
)
async def test_a_secret_of_a_request_is_nowhere_on_the_disk(
    place: str, tmp_path: Path, database_url: str
) -> None:
    held = dict.fromkeys(("path", "form", "header", "cookie", "query", "setting"), "harmless")
    held["path" if place.startswith("path") else place] = CORE
    told_by_the_view = [*held.values(), f"key-of-the-application-{held['setting']}"]
    del told_by_the_view[5]
    app = create_app(
        Settings(
            environment="development",
            secret_key=f"key-of-the-application-{held['setting']}",
            database_url=database_url,
            instance_path=tmp_path / "instance",
            log_dir=tmp_path / "logs",
        )
    )

    @app.post("/reset/<token>")
    async def reset(token: str) -> str:
        await request.form
        raise ValueError(" and ".join(told_by_the_view))

    if place == "path before the view":  # so that the name of no local says that it is a secret

        @app.before_request
        def refuse() -> None:
            raise ValueError(f"no reset for {CORE}")

    await create_tables(app)
    async with app.test_app():
        response = await app.test_client().post(
            f"/reset/{held['path']}?api_key={held['query']}",
            form={"password": held["form"], "username": "susan"},
            headers={
                "Authorization": f"Bearer {held['header']}",
                "Cookie": f"session={held['cookie']}",
            },
        )
        assert response.status_code == 500
        for handler in logging.getLogger(app.name).handlers:
            if isinstance(handler, ThreadedHandler):
                handler.flush()
        texts = contents(tmp_path)
        assert await eventually_counted(app, 1) == 1
        texts |= contents(tmp_path)
    told = [name for name, text in texts.items() if "raise ValueError(" in text]
    assert "microblog.log" in told
    assert any(name.endswith(".journal") for name in told)
    assert any(".db" in name for name in told), "the sample in the database"
    assert not [name for name, text in texts.items() if leaks(text)]


def test_the_passwords_in_addresses_are_known(tmp_path: Path) -> None:
    database = DatabaseEngine(f"sqlite:///{tmp_path / 'x.db'}")
    config = {"REDIS_URL": f"redis://:{CORE}@cache/0", "INBOX_URL": "https://[broken", "PORT": 1}
    assert secrets_of(config, database) == [CORE]
