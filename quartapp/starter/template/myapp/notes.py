"""The pages of the board."""

from quartapp.flasklike import (
    Blueprint,
    ResponseReturnValue,
    redirect,
    render_template,
    request,
    url_for,
)
from sqlalchemy import select

from myapp.models import Note, db

blueprint = Blueprint("notes", __name__)


class InvalidNoteError(Exception):
    """A note is empty or too long."""


@blueprint.get("/")
async def index() -> str:
    latest = select(Note).order_by(Note.id.desc()).limit(50)
    notes = (await db.session.scalars(latest)).all()
    return await render_template("index.html", notes=notes)


@blueprint.post("/")
async def add() -> ResponseReturnValue:
    form = await request.form
    text = form["text"].replace("\0", "").strip()  # PostgreSQL cannot store it
    if not 1 <= len(text) <= 140:
        raise InvalidNoteError
    db.session.add(Note(text=text))
    await db.session.commit()
    return redirect(url_for("notes.index"))
