"""Health checks."""

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
