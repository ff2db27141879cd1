"""`python -m tests.serving.site FACTORY NAME=VALUE ...` serves a small application.

FACTORY is `works`, `loops` (which asks for uvloop), or `fails`, which cannot start; the rest are
the settings of the server.
"""

import asyncio
import gc
import os
import sys

from quart import Quart

from quartapp.serving import server
from quartapp.serving.settings import ServingSettings


def works() -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def index() -> dict[str, object]:
        return {
            "pid": os.getpid(),
            "loop": type(asyncio.get_running_loop()).__module__,
            "collects": gc.isenabled(),
            "frozen": gc.get_freeze_count(),
        }

    @app.get("/slow")
    async def slow() -> str:
        print("The slow view begins", flush=True)
        await asyncio.sleep(1)
        return "slept"

    return app


def fails() -> Quart:
    app = Quart(__name__)

    @app.before_serving
    async def fail() -> None:
        raise RuntimeError("cannot start")

    return app


FACTORIES = {"works": works, "loops": works, "fails": fails}

if __name__ == "__main__":
    gc.disable()  # as run.py does
    factory, *values = sys.argv[1:]
    settings = ServingSettings(port=0, **dict(value.split("=") for value in values))  # type: ignore[arg-type]  # texts, which it converts
    sys.exit(server.run(FACTORIES[factory], settings, use_uvloop=factory == "loops"))
