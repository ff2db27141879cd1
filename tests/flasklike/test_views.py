import threading
from functools import wraps
from typing import Any

import pytest
from quart import current_app, request

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


@pytest.mark.parametrize("shared", [False, True])
async def test_decorators_of_a_class_may_be_synchronous(shared: bool) -> None:
    app = App(__name__)
    threads = []

    def plain(view: Any) -> Any:
        @wraps(view)
        def wrapped(**kwargs: Any) -> Any:
            return f"plain {view(**kwargs)}"

        return wrapped

    def asynchronous(view: Any) -> Any:
        @wraps(view)
        async def wrapped(**kwargs: Any) -> Any:
            return f"async {await current_app.ensure_async(view)(**kwargs)}"

        return wrapped

    class Item(MethodView):
        init_every_request = not shared

        def __init__(self, *names: str) -> None:
            self.names = names

        def get(self, name: str) -> str:
            return name * len(self.names)

        async def post(self, name: str) -> str:
            threads.append(threading.current_thread())
            return name

    class Plain(Item):
        decorators = [plain]

    class Asynchronous(Item):
        decorators = [asynchronous]

    app.add_url_rule("/plain/<name>", view_func=Plain.as_view("plain", "a", "b"))
    app.add_url_rule("/async/<name>", view_func=Asynchronous.as_view("async", "a", "b"))
    client: Any = app.test_client()
    for path, method, text in (
        ("/plain/x", "GET", b"plain xx"),
        ("/plain/x", "POST", b"plain x"),
        ("/async/x", "GET", b"async xx"),
        ("/async/x", "POST", b"async x"),
    ):
        assert await (await client.open(path, method=method)).get_data() == text
    view: Any = app.view_functions["plain"]
    assert (view.view_class, view.methods, view.__name__) == (Plain, {"GET", "POST"}, "plain")
    assert threads == [threading.current_thread()] * 2
