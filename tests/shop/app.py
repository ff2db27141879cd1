"""A small application that uses only the parts, for tests of parts that need an application."""

import asyncio
from pathlib import Path
from typing import Any

from quart import request
from sqlalchemy import Column, ForeignKey, String, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp import reporting
from quartapp.database import Database, DatabaseEngine
from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.logfile import LogFile
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


db = Database(model_class=Base)


def create_app(folder: Path, database_url: str, *, name: str = "shop", **config: Any) -> App:
    """The application, with its files and its log below `folder`; `config` is for the parts."""
    app = App(name, root_path=str(_FOLDER), instance_path=str(folder / "instance"))
    app.config.from_mapping(
        {"LOG_DIR": folder / "logs", "DATABASE_QUEUE": 256, "DATABASE_TIMEOUT": 0},
        DATABASE_URL=database_url,
    )
    app.config.from_mapping(config)
    db.init_app(app)
    database: DatabaseEngine = app.extensions["database"]
    places = Places(_FOLDER, name=name)
    scrubber = Scrubber(known=reporting.secrets_of(app.config, database))
    ErrorPages(app, admission=True, deadlines=True, bounds=True, headers=True)
    clean = Cleaner(places=places, scrubber=scrubber, request_secrets=reporting.request_secrets)
    LogFile(app, clean=clean)
    reporting.Reporting(app, database=database, name=name, places=places, scrubber=scrubber)
    for view in (health, boom, failed_flush, hold):
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    return app


async def create_tables(app: App) -> None:
    """Create the tables of the shop and of the parts in the application's empty database."""
    database: DatabaseEngine = app.extensions["database"]
    async with database.engine.begin() as connection:
        for metadata in (Base.metadata, tables.metadata):
            await connection.run_sync(metadata.create_all)


async def health() -> str:
    return "ok"


async def boom() -> str:
    raise RuntimeError("canary-of-the-exception")


async def failed_flush() -> str:
    """Add a customer with a new name, and then one whose name may be taken."""
    session = db.session
    session.add(Customer(name="flushed", email="flushed@example.com"))
    await session.flush()
    session.add(Customer(name=request.args["name"], email="canary@example.com"))
    await session.flush()
    return "never"


async def hold() -> str:
    """Keep a connection for a while."""
    await db.session.execute(text("SELECT 1"))
    await asyncio.sleep(float(request.args["seconds"]))
    return "held"
