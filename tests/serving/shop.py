"""`python -m tests.serving.shop FOLDER MAIL_PORT NAME=VALUE ...` serves the shop, which mails, with
views for what servers do differently.
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from quart import request

from quartapp.flasklike import App
from quartapp.reporting.pipeline import Pipeline
from quartapp.serving import proxies, server
from quartapp.serving.settings import ServingSettings
from tests.shop import endings


def make(folder: Path, mail_port: int, settings: ServingSettings) -> App:
    app = endings.make(
        folder,
        MAIL_SERVER="127.0.0.1",
        MAIL_PORT=mail_port,
        MAIL_SUBJECT_PREFIX=settings.server,
        ADMINS="ops@example.com",
        MAX_CONTENT_LENGTH=100,
        RESPONSE_TIMEOUT=1,
        PROXY_HOPS=settings.proxy_hops,
    )

    @app.get("/client")
    async def client() -> list[str | None]:
        return [request.scheme, request.remote_addr, request.host]

    @app.get("/nothing")
    async def nothing() -> tuple[str, int]:
        return "", 204

    @app.post("/length")
    async def length() -> str:
        return str(len(await request.get_data()))

    @app.get("/flood")
    async def flood() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65_536)

    @app.get("/dies")
    async def dies() -> AsyncIterator[str]:
        yield "first"
        raise RuntimeError("the stream dies")

    proxies.init_app(app)
    pipeline: Pipeline = app.extensions["reporting"]
    rules = pipeline.consumer.rules
    at_once = replace(rules.limits, initial_delay=0.0)
    pipeline.consumer.rules = replace(rules, limits=at_once)
    return app


if __name__ == "__main__":
    folder, mail_port, *values = sys.argv[1:]
    settings = ServingSettings(port=0, **dict(value.split("=") for value in values))  # type: ignore[arg-type]  # texts
    sys.exit(server.run(partial(make, Path(folder), int(mail_port), settings), settings))
