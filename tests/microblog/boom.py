"""The application with routes that fail in known ways, which production does not have."""

import asyncio

from quart import abort, current_app, request
from sqlalchemy import bindparam, text, update

from quartapp import create_app
from quartapp.flasklike import App, Response
from quartapp.microblog.config import Settings
from quartapp.microblog.database import db
from quartapp.microblog.models import User
from quartapp.microblog.models.user import find_profile

_UPDATE = update(User).where(User.username == bindparam("name"))


def create(settings: Settings | None = None) -> App:
    app = create_app(settings)
    app.add_url_rule("/boom", view_func=boom, methods=["GET", "POST"])
    app.add_url_rule("/failed-flush", view_func=failed_flush)
    app.add_url_rule("/half-done", view_func=half_done, methods=["POST"])
    app.add_url_rule("/taken", view_func=take, methods=["POST"])
    app.add_url_rule("/straße/<name>", view_func=greet)
    app.add_url_rule("/hold", view_func=hold)
    app.add_url_rule("/wait", view_func=wait)
    app.add_url_rule("/fail-posts/<way>", view_func=choose_failure)
    app.before_request(fail_before_posting)
    app.after_request(fail_after_posting)
    return app


async def boom() -> str:
    raise RuntimeError("canary-of-the-exception")


async def failed_flush() -> str:
    """The tutorial's bug: an IntegrityError that is not caught."""
    session = db.session
    session.add(User(username="flushed", email="flushed@example.com", password_hash=""))
    await session.flush()
    name = request.args["name"]
    session.add(User(username=name, email="canary@example.com", password_hash=""))
    await session.flush()
    return "never"


async def half_done() -> str:
    """Fail after the first of two changes, which the request itself can see."""
    name = request.args["name"]
    await db.session.execute(_UPDATE, {"name": name, "about_me": "half"})
    assert (await find_profile(db, name)).about_me == "half"
    raise RuntimeError("canary between two changes")


async def take() -> str:
    """The tutorial's bug in one statement."""
    await db.write(_UPDATE, name=request.args["name"], username=request.args["new"])
    return "never"


async def greet(name: str) -> str:
    """Fail with names and values that are not ASCII."""
    größe = f"Größe von {name}: \N{SNAKE}"
    raise ValueError(f"{größe}, \udc80 und \u202everkehrt")


async def hold() -> str:
    """Keep a connection for a while."""
    await db.session.execute(text("SELECT 1"))
    await asyncio.sleep(float(request.args["seconds"]))
    return "held"


async def wait() -> str:
    """Wait for nothing that anybody else needs."""
    await asyncio.sleep(float(request.args["seconds"]))
    return "waited"


async def choose_failure(way: str) -> str:
    """Make every later post fail in this way ("500", "503", "500 once it is live"), or not at
    all."""
    current_app.config["POSTS_FAIL"] = way
    return way


async def fail_before_posting() -> None:
    if _is_posting("500"):
        raise RuntimeError("canary before the post")
    if _is_posting("503"):
        abort(503)


async def fail_after_posting(response: Response) -> Response:
    if _is_posting("500 once it is live"):
        raise RuntimeError("canary after the post")
    return response


def _is_posting(way: str) -> bool:
    is_post = request.method == "POST" and request.endpoint == "posts.index"
    return is_post and current_app.config.get("POSTS_FAIL") == way
