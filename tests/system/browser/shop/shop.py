"""The application that the browser visits: each of its addresses fails in another way."""

import asyncio
from pathlib import Path

from quart import g, request
from sqlalchemy import text

from quartapp.database import Database
from quartapp.flasklike import App, render_template

app = App(__name__)
app.secret_key = "development"
app.config["DATABASE_URL"] = f"sqlite:///{Path(__file__).parent / 'shop.db'}"
db = Database(app, engine_options={"pool_size": 2})


@app.get("/")
async def index() -> str:
    return "<form method=post action=/buy><input name=item value=tea><button>Buy</button></form>"


@app.post("/buy")
async def buy() -> str:
    form = await request.form
    return place_order(form["item"], card_token="4111-1111")


def place_order(item: str, card_token: str) -> str:
    g.item = item
    prices = {"coffee": 3}
    return f"That is {prices[item]} €"


@app.get("/orders")
async def orders() -> str:
    session = db.session
    await session.execute(text("CREATE TABLE IF NOT EXISTS orders (item TEXT)"))
    await session.commit()
    rows = (await session.execute(text("SELECT item FROM orders"))).all()
    return str(rows[0].item)


@app.get("/stock")
async def stock() -> str:
    found = await db.session.execute(text("SELECT 'tea' AS item"))
    app.logger.warning("counting %s", found.scalar_one())
    raise LookupError("nobody has counted")


@app.get("/deliveries")
async def deliveries() -> str:
    async with asyncio.TaskGroup() as couriers:
        for street in ("Main Street", "Elm Street"):
            couriers.create_task(deliver(street))
    return "delivered"


async def deliver(street: str) -> None:
    raise ConnectionError(f"nobody is at home in {street}")


@app.get("/receipt")
async def receipt() -> str:
    return await render_template("receipt.html", items=[{"name": "tea", "price": None}])


@app.get("/evil")
async def evil() -> str:
    markup = "<img src=x onerror=\"window.hacked = 'local'\">"
    raise ValueError(markup)  # <script>window.hacked = "source"</script>


@app.get("/generated")
async def generated() -> str:
    exec(compile("raise OSError('nowhere to be seen')", "<made up>", "exec"))
    return ""
