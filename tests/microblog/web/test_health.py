"""Health checks."""

import pytest
from sqlalchemy import text

from quartapp.database.migrations import upgrade
from quartapp.database.revisions import OutdatedTablesError
from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.testing import Client


async def test_health_and_readiness(client: Client) -> None:
    health = await client.get("/health")
    ready = await client.get("/ready")
    assert (health.status_code, await health.get_json()) == (200, {"status": "ok"})
    assert (ready.status_code, await ready.get_json()) == (200, {"status": "ok", "database": "ok"})


async def test_is_not_ready_without_its_database(settings: Settings) -> None:
    gone = settings.model_copy(update={"database_url": "postgresql+asyncpg://x@127.0.0.1:1/x"})
    client = create_app(gone).test_client()
    ready = await client.get("/ready")
    assert ready.status_code == 503
    assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    ("revision", "works"),
    [("0003", False), ("0009", True), ("9999", True), ("9999_incompatible", False)],
)
async def test_works_with_tables_of_its_own_version_and_later_ones(
    app: App, caplog: pytest.LogCaptureFixture, revision: str, works: bool
) -> None:
    async with app.test_app():
        client = app.test_client()
        for statement in (
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            f"INSERT INTO alembic_version VALUES ('{revision}')",
        ):
            await app.extensions["database"].write(text(statement))
        answers = [await client.get("/ready") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200 if works else 503] * 2
    said = [line.message for line in caplog.records if line.name.endswith("health")]
    assert len(said) == (0 if works else 1)
    if revision == "0003":
        assert said == [(await answers[0].get_json())["reason"]]
        assert "run 'quart --app quartapp db upgrade' first" in said[0]


@pytest.mark.parametrize("revision", ["0008", "9999_incompatible"])
async def test_does_not_start_with_tables_of_another_version(
    settings: Settings, revision: str
) -> None:
    app = create_app(settings)
    await upgrade(app, "0008")
    await app.extensions["database"].write(
        text(f"UPDATE alembic_version SET version_num = '{revision}'")
    )
    with pytest.raises(OutdatedTablesError, match=f"The database is at revision {revision}, which"):
        await app.startup()
    await app.shutdown()


async def test_an_empty_database_is_said_at_the_start(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings)
    async with app.test_app():
        assert "run 'quart --app quartapp db upgrade'" in caplog.text
        ready = await app.test_client().get("/ready")
        assert "has no tables" in (await ready.get_json())["reason"]
