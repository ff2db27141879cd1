from quartapp.flasklike import App


async def test_answers_a_request() -> None:
    app = App(__name__)

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    response = await app.test_client().get("/ping")
    assert (response.status_code, await response.get_data()) == (200, b"pong")
