"""A shop with a database: quart --app app db upgrade, then quart --app app run."""

from quart import Quart, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue
from sqlalchemy import MetaData, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database import Database
from quartapp.database.types import NAMING_CONVENTION


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    price: Mapped[int] = mapped_column(default=0)


db = Database(model_class=Base)


def create_app(database_url: str = "sqlite:///shop.db") -> Quart:
    app = Quart(__name__)
    app.config["DATABASE_URL"] = database_url
    db.init_app(app)
    app.add_url_rule("/", view_func=items)
    app.add_url_rule("/items/<int:item_id>", view_func=item)
    app.add_url_rule("/items", view_func=add, methods=["POST"])
    return app


async def items() -> str:
    page = await db.paginate(select(Item).order_by(Item.name), per_page=3)
    return await render_template("items.html", page=page)


async def item(item_id: int) -> str:
    found = await db.get_or_404(Item, item_id, description="We do not sell this.")
    return f"{found.name}, {found.price} EUR"


async def add() -> ResponseReturnValue:
    form = await request.form
    db.session.add(Item(name=form["name"], price=int(form["price"])))
    await db.session.commit()
    return redirect(url_for("items"))
