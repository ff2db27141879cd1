"""The application with routes that fail in known ways, which production does not have."""

import asyncio
import os

from quart import current_app, request
from sqlalchemy import text

from quartapp import create_app
from quartapp.database import request_session
from quartapp.flasklike import App
from quartapp.microblog.config import Settings
from quartapp.microblog.models import User


def create(settings: Settings | None = None) -> App:
    app = create_app(settings)
    app.add_url_rule("/boom", view_func=boom, methods=["GET", "POST"])
    app.add_url_rule("/failed-flush", view_func=failed_flush)
    app.add_url_rule("/straße/<name>", view_func=greet)
    app.add_url_rule("/slow", view_func=slow)
    app.add_url_rule("/hold", view_func=hold)
    app.add_url_rule("/scheme", view_func=scheme)
    app.add_url_rule("/pid", view_func=pid)
    return app


async def boom() -> str:
    raise RuntimeError("canary-of-the-exception")


async def failed_flush() -> str:
    """The tutorial's bug: a duplicate that nobody catches."""
    session = request_session()
    session.add(User(username="flushed", email="flushed@example.com", password_hash=""))
    await session.flush()
    name = request.args["name"]
    session.add(User(username=name, email="canary@example.com", password_hash=""))
    await session.flush()
    return "never"


async def greet(name: str) -> str:
    """Fail with everything that is not ASCII."""
    größe = f"Größe von {name}: \N{SNAKE}"
    raise ValueError(f"{größe}, \udc80 und \u202everkehrt")


async def hold() -> str:
    """Keep a connection for a while."""
    await request_session().execute(text("SELECT 1"))
    await asyncio.sleep(float(request.args["seconds"]))
    return "held"


async def pid() -> str:
    """Which process answers."""
    return str(os.getpid())


async def slow() -> str:
    current_app.logger.warning("The slow view begins")
    await asyncio.sleep(float(request.args["seconds"]))
    return "slept"


async def scheme() -> str:
    return request.scheme


async def failing_name(name: str) -> str:
    raise RuntimeError(f"canary in {name}")
