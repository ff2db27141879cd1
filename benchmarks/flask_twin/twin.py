"""The tutorial's application: Flask, Flask-SQLAlchemy, Flask-Login, Flask-WTF, SMTPHandler.

It serves quartapp's pages from quartapp's database: `base.html`, the forms and the error pages are
quartapp's files. The lists are the tutorial's: `_post.html` is included for each post and reads the
author from the entity. With TWIN=tuned it does everything that needs no event loop: rows instead of
entities, quartapp's macros, one UPDATE, presence once a minute, mails from a queue.

Run it with `gunicorn benchmarks.flask_twin.twin:app`; DATABASE_URL, LOG_DIR and
MAIL_SERVER=host:port configure it.
"""

import logging
import os
import queue
import secrets
from datetime import UTC, datetime, timedelta
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler, SMTPHandler
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, render_template, request
from flask_login import LoginManager, current_user
from flask_wtf.csrf import generate_csrf
from jinja2 import ChoiceLoader, FileSystemLoader
from sqlalchemy import event
from sqlalchemy.engine import make_url

from benchmarks.flask_twin import pages
from benchmarks.flask_twin.models import User, aware, db
from benchmarks.flask_twin.showing import plural, show_moment

HERE = Path(__file__).parent
QUARTAPP = HERE.parents[1] / "quartapp"
TUNED = os.environ.get("TWIN") == "tuned"

login = LoginManager()


def create_app() -> Flask:
    app = Flask("twin", static_folder=str(QUARTAPP / "microblog" / "static"))
    connections = int(os.environ.get("DATABASE_POOL_SIZE", "70"))
    app.config.update(
        SECRET_KEY=os.environ.get("SECRET_KEY", secrets.token_hex()),
        SQLALCHEMY_DATABASE_URI=_sync_url(os.environ["DATABASE_URL"]),
        SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 10, "max_overflow": connections - 10},
        TUNED=TUNED,
        POSTS_PER_PAGE=25,
    )
    folders = (
        [QUARTAPP / "microblog" / "templates"]
        if TUNED
        else [HERE / "templates", QUARTAPP / "microblog" / "templates"]
    )
    app.jinja_loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
    app.jinja_env.globals.update(show_moment=show_moment, plural=plural)
    db.init_app(app)
    login.init_app(app)
    login.login_view = "auth.login"
    with app.app_context():
        _prepare_sqlite()
    _log(app)
    app.before_request(_record_presence)
    app.context_processor(_page_context)
    app.register_error_handler(404, _not_found)
    app.register_error_handler(500, _internal_error)
    pages.init_app(app)
    return app


@login.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


def _record_presence() -> None:
    if request.endpoint in {"static", "ping"} or not current_user.is_authenticated:
        return
    now = datetime.now(UTC)
    if not TUNED:
        current_user.last_seen = now
        db.session.commit()
    elif now - aware(current_user.last_seen) > timedelta(minutes=1):
        mine = User.id == current_user.id
        db.session.execute(sa.update(User).where(mine).values(last_seen=now))
        db.session.commit()


def _page_context() -> dict[str, Any]:
    name = current_user.username if current_user.is_authenticated else None
    return {"own_name": name, "csrf_token": generate_csrf() if name else None}


def _not_found(_error: Exception) -> tuple[str, int]:
    return _error_page(
        404,
        "Not Found",
        "There is no such page here. It may have moved, or the address may be mistyped.",
    )


def _internal_error(_error: Exception) -> tuple[str, int]:
    db.session.rollback()
    notified = "MAIL_SERVER" in os.environ
    what = "administrator has been notified" if notified else "error has been recorded"
    return _error_page(
        500,
        "An unexpected error has occurred",
        f"The {what}. Sorry for the inconvenience!",
    )


def _error_page(status: int, title: str, detail: str) -> tuple[str, int]:
    error = {"status": status, "title": title, "detail": detail}
    return render_template(f"errors/{status}.html", error=error), status


def _sync_url(address: str) -> sa.URL:
    url = make_url(address)
    if url.get_backend_name() == "sqlite":
        return url.set(drivername="sqlite")
    return url.set(drivername="postgresql+psycopg2")


def _prepare_sqlite() -> None:
    """Configure SQLite as quartapp does: by default this version would wait for the disk."""
    if db.engine.dialect.name != "sqlite":
        return

    @event.listens_for(db.engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 5000")


def _log(app: Flask) -> None:
    folder = Path(os.environ.get("LOG_DIR", "logs"))
    folder.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(folder / "microblog.log", maxBytes=10240, backupCount=10)
    line = "%(asctime)s %(levelname)s: %(message)s [in %(pathname)s:%(lineno)d]"
    file.setFormatter(logging.Formatter(line))
    file.setLevel(logging.INFO)
    app.logger.addHandler(file)
    app.logger.setLevel(logging.INFO)
    if mail := os.environ.get("MAIL_SERVER"):
        host, port = mail.rsplit(":", 1)
        handler: logging.Handler = SMTPHandler(
            (host, int(port)), "no-reply@example.com", ["admin@example.com"], "Microblog Failure"
        )
        if TUNED:
            waiting: queue.Queue[Any] = queue.Queue()
            QueueListener(waiting, handler).start()
            handler = QueueHandler(waiting)
        handler.setLevel(logging.ERROR)
        app.logger.addHandler(handler)
    app.logger.info("Microblog startup")


app = create_app()
