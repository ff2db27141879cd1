"""Health checks."""

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.models.revision import NEEDED, schema_fault
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


def test_the_needed_revision_is_that_of_the_newest_migration() -> None:
    ini = Path(__file__).parents[3] / "alembic.ini"
    assert ScriptDirectory.from_config(Config(ini)).get_current_head() == NEEDED


@pytest.mark.parametrize(
    ("revision", "works"),
    [("0003", False), (NEEDED, True), ("9999", True), ("9999-incompatible", False)],
)
def test_works_with_tables_of_its_own_version_and_later_ones(revision: str, works: bool) -> None:
    assert bool(schema_fault(revision)) is not works
