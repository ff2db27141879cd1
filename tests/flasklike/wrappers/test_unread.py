"""A part of a body that was not awaited is an error where it is taken for its value."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from quartapp.flasklike import App, request, stream_template_string

USES: dict[str, Callable[[Any], Any]] = {
    "condition": lambda part: "empty" if not part else "has",
    "comparison": lambda part: str(part == {}),
    "item": lambda part: part["a"],
    "membership": lambda part: str("a" in part),
    "loop": lambda part: str(list(part)),
    "length": lambda part: str(len(part)),
    "text": lambda part: f"{part}",
    "str": str,
}


@pytest.fixture
def app() -> App:
    app = App("unread")
    app.testing = True
    return app


@pytest.mark.parametrize("part", ["form", "files", "values", "data", "json"])
@pytest.mark.parametrize("use", USES)
async def test_a_forgotten_await_is_an_error(app: App, part: str, use: str) -> None:
    @app.post("/")
    async def view() -> Any:
        return USES[use](getattr(request, part))

    with pytest.raises(TypeError, match=r"request\.\S+ is a coroutine in asynchronous code: await"):
        await app.test_client().post("/", form={"a": "b"})


async def test_an_attribute_of_it_is_an_error(app: App) -> None:
    @app.post("/")
    async def view() -> Any:
        form: Any = request.form
        try:
            return form.get("a")
        finally:
            form.close()

    with pytest.raises(AttributeError, match=r"request\.form is a coroutine .* without 'get'"):
        await app.test_client().post("/", form={"a": "b"})


async def test_it_is_awaited_as_a_coroutine_is(app: App) -> None:
    @app.post("/")
    async def view() -> Any:
        first, second = await asyncio.gather(request.form, request.values)
        third: Any = await asyncio.create_task(request.get_data())
        fourth = await asyncio.wait_for(request.form, 60)
        return [first["a"], second["a"], third.decode(), fourth["a"]]

    response = await app.test_client().post("/", form={"a": "b"})
    assert await response.json == ["b", "b", "", "b"]


async def test_a_template_awaits_it(app: App) -> None:
    @app.post("/")
    async def view() -> Any:
        source = "{% if request.form %}{{ request.form['a'] }}{{ form.a }}{% endif %}"
        return await stream_template_string(source, form=request.form)

    response = await app.test_client().post("/", form={"a": "b"})
    assert await response.get_data() == b"bb"
