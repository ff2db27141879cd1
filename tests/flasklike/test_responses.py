"""What a view may return, and what becomes of it."""

import quart

from quartapp.flasklike import App


async def test_quarts_own_response_is_sent_and_closed() -> None:
    app = App(__name__)

    @app.get("/")
    async def view() -> quart.Response:
        return quart.Response("as Quart made it", status=202)

    response = await app.test_client().get("/")
    assert (response.status_code, await response.get_data()) == (202, b"as Quart made it")
