"""Flask's error handlers, asynchronous: `quart --app app run`."""

from quartapp.flasklike import App, abort

app = App(__name__)


class OutOfStockError(Exception):
    """The product is sold out."""


@app.route("/<product>")
async def show(product: str) -> str:
    if product == "kettle":
        raise OutOfStockError(product)
    if product != "teapot":
        abort(404, f"There is no {product} here.")
    return "A teapot, 20 EUR."


@app.errorhandler(OutOfStockError)
async def out_of_stock(error: OutOfStockError) -> tuple[str, int]:
    return f"Sold out: {error}.", 409
