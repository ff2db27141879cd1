"""Error pages, error mails and a session that is rolled back: `quart --app app run`."""

from quart import Quart
from sqlalchemy import func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database import Database
from quartapp.errors import ErrorPages
from quartapp.reporting import Reporting

app = Quart(__name__)
app.config["DATABASE_URL"] = "sqlite:///shop.db"
app.config.from_prefixed_env()  # QUART_MAIL_SERVER, QUART_ADMINS ...


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]


db = Database(app, model_class=Base)
ErrorPages(app)
Reporting(app)
app.before_serving(db.create_all)


@app.get("/")
async def count() -> str:
    return str(await db.session.scalar(select(func.count(Order.id))))


@app.post("/<product>")
async def order(product: str) -> str:
    db.session.add(Order(product=product))
    await db.session.flush()
    raise RuntimeError(f"the printer has no paper for {product}")
