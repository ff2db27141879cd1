"""The database and its tables. After a change: `quart db migrate -m "what it changes"`."""

from quartapp.database import Database
from quartapp.database.types import NAMING_CONVENTION
from sqlalchemy import MetaData, String
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(AsyncAttrs, DeclarativeBase):
    """The tables of this application. The names of constraints let migrations change them."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Note(Base):
    """A note on the board."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(140))


db = Database(model_class=Base)
