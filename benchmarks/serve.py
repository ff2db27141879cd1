"""Serve quartapp with three more routes: `python -m benchmarks.serve hypercorn PORT`.

Instead of hypercorn also uvicorn or granian.
"""

import asyncio
import gc
import sys

if __name__ == "__main__":
    gc.disable()  # as run.py

from sqlalchemy import text

from quartapp import serving
from quartapp.app import create_app
from quartapp.config import Settings, load_settings
from quartapp.database import request_session
from quartapp.flasklike import App


async def ping() -> str:
    return "pong"


async def boom() -> str:
    raise RuntimeError("what the benchmark asks for")


async def slow_database() -> str:
    await request_session().execute(text("SELECT pg_sleep(0.1)"))
    return "slept"


async def wait() -> str:
    await asyncio.sleep(10)
    return "waited"


def create(settings: Settings | None = None) -> App:
    app = create_app(settings)
    app.add_url_rule("/ping", view_func=ping)
    app.add_url_rule("/boom", view_func=boom)
    app.add_url_rule("/slow_database", view_func=slow_database)
    app.add_url_rule("/wait", view_func=wait)
    return app


def main(server: str, port: int) -> None:
    if server == "hypercorn":
        serving.create_app = create  # type: ignore[assignment]
        serving.serve_here(Settings, serving.listen("127.0.0.1", port))
    elif server == "uvicorn":
        import uvicorn

        app = create(load_settings())
        serving.collect_from_now_on()
        uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")
    else:
        from granian.server.embed import Server

        serving.collect_from_now_on()
        embedded = Server(create(load_settings()), address="127.0.0.1", port=port)
        asyncio.run(embedded.serve())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
