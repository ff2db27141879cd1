import json
import logging
import threading
from typing import Any

import pytest
from flask.logging import default_handler
from quart import request
from werkzeug.exceptions import RequestEntityTooLarge

from quartapp.flasklike import App, copy_current_request_context


def make_app(**config: Any) -> App:
    app = App("requests")
    app.config.update(config)
    return app


async def post(app: App, read: Any, **kwargs: Any) -> Any:
    """The result of *read* for a request, or the status of its error."""
    found: list[Any] = []

    @app.post("/")
    async def view() -> str:
        found.append(await read())
        return "read"

    response = await app.test_client().post("/", **kwargs)
    return found[0] if found else response.status_code


async def test_json_of_another_type_is_415() -> None:
    kwargs = {"data": "{}", "headers": {"Content-Type": "text/plain"}}
    assert await post(make_app(), lambda: request.get_json(), **kwargs) == 415
    assert await post(make_app(), lambda: request.json, **kwargs) == 415
    assert await post(make_app(), lambda: request.get_json(silent=True), **kwargs) is None
    assert await post(make_app(), lambda: request.get_json(force=True), **kwargs) == {}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_json_may_be_in_any_encoding_of_unicode(encoding: str) -> None:
    data = json.dumps({"name": "é"}, ensure_ascii=False).encode(encoding)
    headers = {"Content-Type": "application/json"}
    read = await post(make_app(), lambda: request.get_json(), data=data, headers=headers)
    assert read == {"name": "é"}


@pytest.mark.parametrize("data", [b"{", b"\xff\xff", b'{"a": "\xff"}'])
async def test_malformed_json_is_400(data: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    async def silently() -> Any:
        return [await request.get_json(silent=True), await request.get_json(silent=True)]

    assert await post(make_app(), lambda: request.get_json(), data=data, headers=headers) == 400
    assert await post(make_app(), silently, data=data, headers=headers) == [None, None]


async def test_what_is_wrong_with_json_is_said_in_debug_mode_alone() -> None:
    texts = []
    for debug in (True, False):
        app = make_app(DEBUG=debug)

        @app.post("/")
        async def view() -> Any:
            return await request.get_json()

        headers = {"Content-Type": "application/json"}
        response = await app.test_client().post("/", data="{", headers=headers)
        texts.append(b"Failed to decode JSON object" in await response.get_data())
    assert texts == [True, False]


async def test_text_that_is_not_utf8_is_replaced() -> None:
    assert await post(make_app(), lambda: request.get_data(as_text=True), data=b"a\xff") == "a�"


async def test_data_is_cached_and_a_form_takes_it() -> None:
    form = {"form": {"a": "1"}}

    async def twice() -> Any:
        return [await request.get_data(), await request.get_data(), dict(await request.form)]

    async def form_first() -> Any:
        return [dict(await request.form), await request.get_data(), await request.data]

    async def uncached() -> Any:
        return [await request.get_data(cache=False), await request.get_data()]

    assert await post(make_app(), twice, **form) == [b"a=1", b"a=1", {"a": "1"}]
    assert await post(make_app(), form_first, **form) == [{"a": "1"}, b"", b""]
    assert await post(make_app(), uncached, data="x") == [b"x", b""]


async def test_a_limit_may_be_set_in_the_view() -> None:
    async def limited() -> Any:
        request.max_content_length = 3
        return await request.get_data()

    async def widened() -> Any:
        request.max_content_length = 10
        return await request.get_data()

    assert await post(make_app(), limited, data="1234") == 413
    assert await post(make_app(MAX_CONTENT_LENGTH=3), widened, data="1234") == b"1234"
    announced = {"data": "1234", "headers": {"Content-Length": "4"}}
    assert await post(make_app(MAX_CONTENT_LENGTH=3), lambda: request.form, **announced) == 413


async def test_the_default_is_no_limit_as_in_flask() -> None:
    assert make_app().config["MAX_CONTENT_LENGTH"] is None


async def test_a_field_of_a_form_may_be_too_large() -> None:
    app = make_app(MAX_FORM_MEMORY_SIZE=10)
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 20 + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert await post(app, lambda: request.form, data=body, headers=headers) == 413


async def test_files_that_were_not_sent_are_explained_in_debug_mode() -> None:
    app = make_app(DEBUG=True)

    @app.post("/")
    async def view() -> Any:
        return (await request.files)["photo"].filename

    with pytest.raises(KeyError, match='enctype="multipart/form-data"'):
        await app.test_client().post("/", form={"photo": "me.png"})
    with pytest.raises(KeyError) as plain:
        await app.test_client().post("/", form={"other": "1"})
    assert "enctype" not in str(plain.value)


async def test_the_limit_holds_for_a_body_that_is_iterated() -> None:
    async def parts() -> Any:
        with pytest.raises(RequestEntityTooLarge):
            _ = [part async for part in request.body]
        return "refused"

    assert await post(make_app(MAX_CONTENT_LENGTH=3), parts, data="1234") == "refused"


async def test_the_handler_of_flasks_logging_writes_in_a_plain_view(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = make_app()

    @app.get("/")
    def view() -> str:
        default_handler.handle(logging.makeLogRecord({"msg": "a line of a plain view"}))
        return "read"

    await app.test_client().get("/")
    written = capsys.readouterr().err
    assert "a line of a plain view" in written
    assert "Logging error" not in written


@pytest.mark.parametrize(
    "read",
    [
        lambda environ: environ["REMOTE_ADDR"],
        lambda environ: environ.get("REMOTE_ADDR"),
        lambda environ: "REMOTE_ADDR" in environ,
    ],
)
async def test_another_use_of_the_wsgi_environment_says_what_to_write(read: Any) -> None:
    async with make_app().test_request_context("/"):
        with pytest.raises(Exception, match="no WSGI environment; write request"):
            read(request.environ)  # type: ignore[attr-defined]  # quart's name


def test_a_body_that_has_not_arrived_is_an_error_in_the_loop_of_a_thread() -> None:
    app, errors = make_app(), []

    @app.post("/")
    def view() -> str:
        def work() -> None:
            try:
                errors.append(str(request.form))
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=copy_current_request_context(work), daemon=True)
        thread.start()
        thread.join(30)
        return "hangs" if thread.is_alive() else "ended"

    client: Any = app.test_client()
    assert client.post("/", data={"title": "a"}).text == "ended"
    assert "Read it before the thread starts" in errors[0]
