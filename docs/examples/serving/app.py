"""An application that serves itself in production: `python app.py`."""

import sys

from quart import Quart

from quartapp.serving import server
from quartapp.serving.settings import ServingSettings

app = Quart(__name__)
app.config.from_prefixed_env()  # QUART_PORT, QUART_WORKERS ...


@app.get("/")
async def index() -> str:
    return "Hello."


def make() -> Quart:
    """The application, in each process that serves it."""
    return app


if __name__ == "__main__":
    sys.exit(server.run(make, ServingSettings.from_config(app.config)))
