"""A guest book: `quart --app guestbook run`. Its suite is beside it: `pytest`."""

import secrets
import time

from quart import Quart, Response, abort, redirect, request, session
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.wrappers import Response as Redirect

from quartapp.database import Database
from quartapp.reporting import Reporting

db = Database()

FORM = """
<form method="post">
  <input type="hidden" name="csrf_token" value="{}"> <input name="name"> <button>Sign</button>
</form>
"""


class Guest(db.Model):  # type: ignore[name-defined, misc]  # its base is made at runtime
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


def create_app(instance_path: str | None = None) -> Quart:
    app = Quart(__name__, instance_path=instance_path)
    app.config.update(SECRET_KEY=secrets.token_hex(), DATABASE_URL="sqlite:///guests.db")
    db.init_app(app)
    Reporting(app)

    @app.before_serving
    async def create_tables() -> None:
        async with db.engine.begin() as connection:
            await connection.run_sync(db.metadata.create_all)

    @app.get("/")
    async def guests() -> Response:
        names = await db.session.scalars(select(Guest.name))
        return Response("\n".join(names), mimetype="text/plain")

    @app.get("/sign")
    async def form() -> str:
        session["csrf_token"] = secrets.token_hex()
        return FORM.format(session["csrf_token"])

    @app.post("/sign")
    async def sign() -> Redirect:
        sent = await request.form
        if "csrf_token" not in session or sent.get("csrf_token") != session["csrf_token"]:
            abort(400)
        db.session.add(Guest(name=sent["name"]))
        await db.session.commit()
        return redirect("/")

    @app.get("/slow")
    async def slow() -> str:
        time.sleep(0.3)  # noqa: ASYNC251 - the fault that strictness finds
        return ""

    return app
