import pytest

from quartapp.flasklike import App


async def test_answers_a_request() -> None:
    app = App(__name__)

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    response = await app.test_client().get("/ping")
    assert (response.status_code, await response.get_data()) == (200, b"pong")


def test_a_wsgi_middleware_is_refused_with_what_to_write() -> None:
    app = App("app")
    with pytest.raises(AttributeError, match=r"write app\.asgi_app = Middleware"):
        app.wsgi_app = app.wsgi_app
    with pytest.raises(AttributeError, match=r"write app\.asgi_app = Middleware"):
        app.wsgi_app = app
