"""An application factory: the handlers exist before the application and are registered by it."""

from werkzeug.exceptions import HTTPException

from quartapp.flasklike import App


class QuotaExceeded(Exception):
    """Someone has posted enough for today."""


async def absent(error: HTTPException) -> tuple[str, int]:
    return "nothing here", 404


async def enough(error: QuotaExceeded) -> tuple[str, int]:
    return "come back tomorrow", 429


async def new_post() -> str:
    raise QuotaExceeded


def create_app() -> App:
    app = App(__name__)
    app.register_error_handler(404, absent)
    app.register_error_handler(QuotaExceeded, enough)
    app.add_url_rule("/posts", view_func=new_post, methods=["POST"])
    return app


app = create_app()
