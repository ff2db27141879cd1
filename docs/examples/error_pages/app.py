"""Errors as pages for people and as problem+json for programs: `quart --app app run`."""

from quart import Quart

from quartapp.errors import ErrorPages

app = Quart(__name__)
app.config["ERRORS_CONTACT"] = "help@shop.example"
pages = ErrorPages(app, name="The shop")

STOCK = {"teapot": 3, "kettle": 0}


class OutOfStockError(Exception):
    """The product is sold out."""


pages.register(
    OutOfStockError,
    status=409,
    code="out-of-stock",
    title="Sold out",
    detail=lambda error: f"We have no more of this: {error}.",
)


@app.get("/<product>")
@app.get("/api/<product>")
async def show(product: str) -> str:
    if STOCK[product] == 0:
        raise OutOfStockError(product)
    return f"A {product}, 20 EUR."
