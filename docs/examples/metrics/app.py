"""Metrics for Prometheus: `quart --app app run`, then /metrics with the token."""

from quart import Quart

from quartapp.metrics import Metrics

app = Quart(__name__)
app.config.from_prefixed_env()  # QUART_METRICS_TOKEN, QUART_WORKERS ...
metrics = Metrics(app)
sold = metrics.counter("shop_books_sold", "Books that were sold.", labels=["kind"])
price = metrics.histogram("shop_price_euros", "Prices of sales.", buckets=[5, 10, 20, 50])


@app.post("/books/<kind>")
async def buy(kind: str) -> str:
    if kind not in {"paper", "audio"}:
        return "We have no such books."
    sold.inc(kind=kind)
    price.observe(12.5 if kind == "paper" else 8)
    return "Thank you."
