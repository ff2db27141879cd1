"""A small application that uses only the parts, for tests of parts that need an application."""

import asyncio
from pathlib import Path
from typing import Any

from quart import request
from sqlalchemy import Column, ForeignKey, String, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp import database as db
from quartapp import errors, logfile, reporting
from quartapp.database import Database, request_session
from quartapp.errors import admission, bounds, deadlines, headers
from quartapp.flasklike import App
from quartapp.logfile.record import Cleaner
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting import tables

_FOLDER = Path(__file__).parent

INSIDE = [
    "canary",
    "RuntimeError",
    "IntegrityError",
    "Traceback",
    "sqlite",
    "postgres",
    "customers",
]
"""Words that must not reach a client, whatever fails."""


class Base(DeclarativeBase):
    """The tables of the shop."""


class Customer(Base):
    """A table for errors: a duplicate, a missing value, a lost update."""

    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    email: Mapped[str] = mapped_column(String(120), unique=True)
    note: Mapped[str] = mapped_column(default="")
    visits: Mapped[int] = mapped_column(default=0)


friends = Table(
    "friends",
    Base.metadata,
    Column("customer_id", ForeignKey(Customer.id), primary_key=True),
    Column("friend_id", ForeignKey(Customer.id), primary_key=True),
)


def create_app(folder: Path, database_url: str, *, name: str = "shop", **config: Any) -> App:
    """The application, with its files and its log below `folder`; `config` is for the parts."""
    app = App(name, root_path=str(_FOLDER), instance_path=str(folder / "instance"))
    app.config.from_mapping({"LOG_DIR": folder / "logs"} | config)
    database = Database(
        database_url,
        pool_size=config.get("DATABASE_POOL_SIZE", 10),
        pool_queue=config.get("DATABASE_QUEUE", 256),
        statement_timeout=config.get("DATABASE_TIMEOUT"),
    )
    places = Places(_FOLDER, name=name)
    scrubber = Scrubber(known=reporting.secrets_of(app.config, database))
    db.init_app(app, database)
    errors.init_app(app)
    deadlines.init_app(app)
    admission.init_app(app)
    bounds.init_app(app)
    headers.init_app(app)
    clean = Cleaner(places=places, scrubber=scrubber, request_secrets=reporting.request_secrets)
    logfile.init_app(app, name=name, clean=clean)
    reporting.init_app(app, database, name=name, places=places, scrubber=scrubber)
    app.before_serving(database.warm_up)
    app.after_serving(database.dispose)
    for view in (health, boom, failed_flush, hold):
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    return app


async def create_tables(app: App) -> None:
    """Create the tables of the shop and of the parts in the application's empty database."""
    database: Database = app.extensions["database"]
    async with database.engine.begin() as connection:
        for metadata in (Base.metadata, tables.metadata):
            await connection.run_sync(metadata.create_all)


async def health() -> str:
    return "ok"


async def boom() -> str:
    raise RuntimeError("canary-of-the-exception")


async def failed_flush() -> str:
    """Add a customer with a new name, and then one whose name may be taken."""
    session = request_session()
    session.add(Customer(name="flushed", email="flushed@example.com"))
    await session.flush()
    session.add(Customer(name=request.args["name"], email="canary@example.com"))
    await session.flush()
    return "never"


async def hold() -> str:
    """Keep a connection for a while."""
    await request_session().execute(text("SELECT 1"))
    await asyncio.sleep(float(request.args["seconds"]))
    return "held"
