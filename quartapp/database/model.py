"""The base class of an application's models: names of tables and of constraints, and a repr."""

import re
from types import new_class
from typing import Any

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Table, inspect
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import (
    DeclarativeBase,
    DeclarativeBaseNoMeta,
    declared_attr,
    has_inherited_table,
)

from quartapp.database.types import NAMING_CONVENTION

_WORDS = re.compile(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))")


class NamedTables(AsyncAttrs):
    """A model without `__tablename__` gets its class's name: `OrderLine` is `order_line`.

    A class that inherits from a model has a table only if it has a primary key (joined
    inheritance); otherwise its columns are in the table of that model (single-table inheritance).
    What SQLAlchemy loads at its first use can be awaited: `await user.awaitable_attrs.posts`.
    """

    __tablename__: Any

    def __init_subclass__(cls, **arguments: Any) -> None:
        if _needs_a_name(cls):
            cls.__tablename__ = table_name(cls.__name__)
        super().__init_subclass__(**arguments)
        if cls.__dict__.get("__table__", cls) is None:  # see __table_cls__
            del cls.__table__  # type: ignore[attr-defined]  # SQLAlchemy has set it

    @classmethod
    def __table_cls__(cls, *arguments: Any, **options: Any) -> Table | None:
        """Called by SQLAlchemy: the table of a new model, or None for that of its parent."""
        is_own = any(
            isinstance(each, PrimaryKeyConstraint)
            or (isinstance(each, Column) and each.primary_key)
            for each in arguments
        )
        if not is_own and has_inherited_table(cls):
            if "__tablename__" in cls.__dict__:
                del cls.__tablename__
            return None
        return Table(*arguments, **options)

    def __repr__(self) -> str:
        state: Any = inspect(self)
        if state.identity is None:
            return f"<{type(self).__name__} ({'pending' if state.pending else 'transient'})>"
        return f"<{type(self).__name__} {', '.join(map(str, state.identity))}>"


def model_base(model_class: type[Any] | None, metadata: MetaData | None) -> Any:
    """The class that models inherit from, with `metadata`, which other bases may share.

    `model_class` is a declarative base of the application, which keeps its metadata, or a class
    with what all models share.
    """
    declarative = (DeclarativeBase, DeclarativeBaseNoMeta)
    if model_class is not None and issubclass(model_class, declarative):
        if metadata is not None:
            raise TypeError("metadata belongs to the class that is passed as model_class")
        bases: tuple[type[Any], ...] = (NamedTables, model_class)
        body: dict[str, Any] = {"__abstract__": True}
    else:
        bases = (NamedTables, *([model_class] if model_class else []), DeclarativeBase)
        body = {"metadata": metadata or MetaData(naming_convention=NAMING_CONVENTION)}
    return new_class("Model", bases, exec_body=lambda namespace: namespace.update(body))


def table_name(class_name: str) -> str:
    """The name in snake case, as in Flask-SQLAlchemy: `HTTPCode` is `http_code`."""
    return _WORDS.sub(r"_\1", class_name).lower().lstrip("_")


def _needs_a_name(cls: type[Any]) -> bool:
    """Whether no class gives a name: neither this one, nor a mixin, nor one that computes it.

    The name of a model is not inherited: a child has a table of its own, or none.
    """
    if cls.__dict__.get("__abstract__", False) or DeclarativeBase in cls.__bases__:
        return False
    for each in cls.__mro__:
        given = each.__dict__.get("__tablename__")
        if given is None:
            continue
        if isinstance(given, declared_attr) or each is cls:
            return False
        return "__table__" in each.__dict__ or "__mapper__" in each.__dict__
    return "__table__" not in cls.__dict__
