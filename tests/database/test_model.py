"""The base class of models."""

from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import ForeignKey, MetaData, UniqueConstraint
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    declared_attr,
    mapped_column,
    relationship,
)

from quartapp.database import Database
from quartapp.database.model import table_name


def make(base: Any, name: str, *mixins: type, **body: Any) -> Any:
    annotations = {key: Mapped[int] for key in body if key != "__tablename__"}
    return type(base)(name, (*mixins, base), {"__annotations__": annotations, **body})


def key() -> Any:
    return mapped_column(primary_key=True)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("User", "user"),
        ("OrderLine", "order_line"),
        ("HTTPCode", "http_code"),
        ("_Private", "private"),
        ("Oauth2Token", "oauth2_token"),
    ],
)
def test_tables_are_named_after_their_classes(name: str, table: str) -> None:
    assert table_name(name) == table
    assert make(Database().Model, name, id=key()).__table__.name == table


def test_a_name_that_is_given_stays() -> None:
    base = Database().Model

    class Named:
        __tablename__ = "from_a_mixin"

    class Computed:
        @declared_attr.directive
        def __tablename__(cls: Any) -> str:
            return f"x_{cls.__name__.lower()}"

    assert make(base, "One", id=key(), __tablename__="own").__table__.name == "own"
    assert make(base, "Two", Named, id=key()).__table__.name == "from_a_mixin"
    assert make(base, "Three", Computed, id=key()).__table__.name == "x_three"


def test_inheritance_in_one_table_and_in_joined_ones() -> None:
    parent = make(Database().Model, "Person", id=key())
    single = make(parent, "Employee", level=mapped_column(nullable=True))
    joined = make(parent, "Manager", id=mapped_column(ForeignKey("person.id"), primary_key=True))
    assert single.__table__ is parent.__table__
    assert "level" in parent.__table__.columns
    assert joined.__table__.name == "manager"


def test_constraints_have_names() -> None:
    column = mapped_column()
    model = make(Database().Model, "User", id=key(), email=column)
    constraint = UniqueConstraint(model.__table__.c.email)
    assert constraint.name == "uq_user_email"
    own = Database(metadata=MetaData(schema="shop"))
    assert make(own.Model, "User", id=key()).__table__.fullname == "shop.user"


def test_a_base_of_the_applications_own_keeps_its_metadata() -> None:
    class Base(DeclarativeBase):
        pass

    db = Database(model_class=Base)
    typed = make(Base, "Typed", id=key(), __tablename__="typed")
    named = make(db.Model, "Named", id=key())
    assert db.metadata is Base.metadata
    assert set(Base.metadata.tables) == {typed.__tablename__, named.__tablename__}
    with pytest.raises(TypeError, match="model_class"):
        Database(model_class=Base, metadata=MetaData())


def test_dataclasses_and_plain_classes_as_a_base() -> None:
    class Data(MappedAsDataclass, DeclarativeBase):
        pass

    class Plain:
        def greet(self) -> str:
            return "hello"

    user = make(Database(model_class=Data).Model, "User", id=key())
    assert (user.__tablename__, user(id=1).id) == ("user", 1)
    other = make(Database(model_class=Plain).Model, "User", id=key())
    assert (other.__tablename__, other().greet()) == ("user", "hello")


@pytest.mark.parametrize("model_class", [None, AsyncAttrs])
async def test_what_is_loaded_at_its_first_use_can_be_awaited(
    tmp_path: Path, model_class: type | None
) -> None:
    db = Database(model_class=model_class)
    app = Quart(__name__, instance_path=str(tmp_path))
    app.config["DATABASE_URL"] = "sqlite:///late.db"
    db.init_app(app)
    user = make(db.Model, "User", id=key())
    post = make(db.Model, "Post", id=key(), user_id=mapped_column(ForeignKey("user.id")))
    user.posts = relationship(post)
    async with app.test_app(), app.app_context():
        await db.create_all()
        async with db.begin() as session:
            session.add(user(id=1, posts=[post(id=2)]))
        found = await db.session.get_one(user, 1)
        assert [each.id for each in await found.awaitable_attrs.posts] == [2]


def test_databases_share_nothing() -> None:
    first, second = Database(), Database()
    make(first.Model, "User", id=key())
    assert (len(first.metadata.tables), len(second.metadata.tables)) == (1, 0)
    assert repr(make(second.Model, "User", id=key())()) == "<User (transient)>"
