from typing import Any

import pytest
from quart import request

from quartapp.flasklike import App, MethodView, View


async def test_dispatches_by_method_and_head_falls_back() -> None:
    class Item(MethodView):
        async def get(self, name: str) -> str:
            return f"got {name}"

        def put(self, name: str) -> str:
            return f"put {name}"

    app = App("views")
    app.add_url_rule("/<name>", view_func=Item.as_view("item"))
    client = app.test_client()
    assert await (await client.get("/x")).get_data() == b"got x"
    assert await (await client.put("/x")).get_data() == b"put x"
    assert (await client.head("/x")).headers["Content-Length"] == "5"
    assert (await client.post("/x")).status_code == 405


async def test_a_method_the_class_lacks_is_an_assertion_error() -> None:
    class Nothing(MethodView):
        methods = ["DELETE"]

    app = App("views")
    app.testing = True
    app.add_url_rule("/", view_func=Nothing.as_view("nothing"))
    with pytest.raises(AssertionError, match="Unimplemented method 'DELETE'"):
        await app.test_client().delete("/")


async def test_a_view_is_made_for_every_request() -> None:
    made: list[Any] = []

    class Page(View):
        def __init__(self) -> None:
            made.append(self)

        async def dispatch_request(self, **kwargs: Any) -> str:
            return request.path

    app = App("views")
    app.add_url_rule("/", view_func=Page.as_view("page"))
    for _ in range(2):
        await app.test_client().get("/")
    assert len(made) == 2
