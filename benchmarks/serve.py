"""Serve quartapp with additional routes: `python -m benchmarks.serve hypercorn PORT`.

uvicorn and granian work too. `floor-hypercorn`, `floor-uvicorn` ... serve an application that does
nothing.
"""

import asyncio
import gc
import sys
from typing import Any

if __name__ == "__main__":
    gc.disable()  # as run.py

from sqlalchemy import text

from benchmarks import floor
from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings, load_settings
from quartapp.microblog.database import db
from quartapp.serving.server import serve_here
from quartapp.serving.service import Service
from quartapp.serving.settings import ServingSettings
from quartapp.sockets import bind

FINGERPRINT = "benchmarks.growth"


async def ping() -> str:
    return "pong"


async def boom() -> str:
    raise RuntimeError("what the benchmark asks for")


async def boom_again() -> str:
    """Fail with an error of the same group as those that `growth_data` records."""
    error = RuntimeError("what the benchmark asks for again")
    error.__fingerprint__ = FINGERPRINT  # type: ignore[attr-defined]  # docs/report.md
    raise error


SLEEP = text("SELECT pg_sleep(1)")


async def slow_query() -> str:
    await db.session.execute(SLEEP)
    return "slept"


async def wait() -> str:
    await asyncio.sleep(10)
    return "waited"


def create(settings: Settings | None = None) -> App:
    app = create_app(settings)
    app.add_url_rule("/ping", view_func=ping)
    app.add_url_rule("/boom", view_func=boom)
    app.add_url_rule("/boom_again", view_func=boom_again)
    app.add_url_rule("/slow_query", view_func=slow_query)
    app.add_url_rule("/wait", view_func=wait)
    return app


def main(kind: str, port: int) -> None:
    server = kind.removeprefix("floor-")
    use_uvloop = not load_settings().database_url.startswith("sqlite")
    make: Any = create if server == kind else lambda _settings=None: floor.asgi
    service = Service(
        lambda: make(load_settings()), use_uvloop, ServingSettings.from_config({"SERVER": server})
    )
    serve_here(service, bind("127.0.0.1", port))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
