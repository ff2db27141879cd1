"""A shop with errors to look at: `quart dev` shows each of them in the browser."""

import logging

from quart import Quart, g, render_template, render_template_string, request, session
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

app = Quart(__name__)
app.secret_key = "only for development"
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
engine = create_async_engine("sqlite+aiosqlite://")

PRICES = {"coffee": 3}
LABEL = """\
<address>
{{ customer.name }}
{{ customer.street.upper() }}
</address>
"""


@app.before_serving
async def create_tables() -> None:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)"))


@app.after_serving
async def close_connections() -> None:
    await engine.dispose()


@app.get("/")
async def index() -> str:
    return await render_template("index.html")


@app.post("/orders")
async def buy() -> str:
    form = await request.form
    g.item = form["item"]
    session["cart"] = [g.item]
    async with engine.begin() as connection:
        statement = text("INSERT INTO orders (item) VALUES (:item)")
        await connection.execute(statement, {"item": g.item})
        number = await connection.scalar(text("SELECT count(*) FROM orders"))
        logger.info("order %d: %s, paid with card_token=%s", number, g.item, form["card_token"])
    return f"That is {PRICES[g.item]} €"


@app.get("/receipt")
async def receipt() -> str:
    items = [{"name": "coffee", "price": 300}, {"name": "tea", "price": None}]
    return await render_template("receipt.html", items=items)


@app.get("/label")
async def label() -> str:
    return await render_template_string(LABEL, customer={"name": "Susan", "street": None})
