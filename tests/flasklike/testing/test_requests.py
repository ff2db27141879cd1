"""The arguments of Flask's test client mean the same here; Flask itself is asked what they mean."""

import io
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import EnvironBuilder
from werkzeug.datastructures import FileStorage, MultiDict

from quartapp.flasklike import App, Flask, request

CONFIG = {
    "plain": {},
    "root": {"APPLICATION_ROOT": "/root", "PREFERRED_URL_SCHEME": "https"},
    "named": {"SERVER_NAME": "example.org:8000"},
}

FORM = "application/x-www-form-urlencoded"

# fmt: off
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("plain", (), {}),
    ("plain", ("/a b/ü?x=1&x=ü",), {}),
    ("plain", ("/x", "https://shop.example:444/root"), {}),
    ("plain", ("/x",), {"base_url": "http://example.com/ü"}),
    ("plain", ("https://other.example/x?y=z",), {}),
    ("plain", ("/x",), {"subdomain": "api", "url_scheme": "https"}),
    ("root", ("/x",), {}),
    ("named", ("/x",), {"subdomain": "api"}),
    ("plain", ("/x",), {"query_string": "a=1&b=%C3%BC"}),
    ("plain", ("/x",), {"query_string": {"a": ["1", "2"], "b": "ü"}}),
    ("plain", ("/x",), {"method": "POST", "data": {"a": "ü", "b": ["1", "2"], "n": 3}}),
    ("plain", ("/x",), {"method": "PUT", "data": MultiDict([("a", "1"), ("a", "2")])}),
    ("plain", ("/x",), {"method": "POST", "data": "text ü"}),
    ("plain", ("/x",), {"method": "POST", "data": b"\xff", "content_type": "image/png"}),
    ("plain", ("/x",), {"method": "POST", "data": b"a=1", "mimetype": FORM}),
    ("plain", ("/x",), {"method": "POST", "data": "a=1", "headers": {"Content-Type": FORM}}),
    ("plain", ("/x",), {"method": "POST", "json": {"a": [1, "ü"]}}),
    ("plain", ("/x",), {"method": "POST", "json": 0, "content_type": "application/x+json"}),
    ("plain", ("/x",), {"headers": [("X-A", "1"), ("X-A", "2"), ("Host", "own.example")]}),
    ("plain", ("/x",), {"auth": ("user", "pass"), "headers": {"User-Agent": "own"}}),
    ("plain", ("/x",), {"environ_base": {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_B": "b"}}),
    ("plain", ("/x",), {"environ_overrides": {"wsgi.url_scheme": "https", "HTTP_X_C": "c"}}),
    ("plain", ("/x",), {"environ_overrides": {"REMOTE_ADDR": "10.0.0.2"}}),
    ("plain", ("/x",), {"buffered": True}),
    ("plain", ({"environ": "x"},), {}),
]
# fmt: on


def echo(request: Any, form: Any, files: Any, data: Any) -> dict[str, Any]:
    return {
        "url": request.url,
        "root": request.script_root if hasattr(request, "script_root") else request.root_path,
        "path": request.path,
        "query": request.query_string.decode("latin1"),
        "method": request.method,
        "host": request.host,
        "address": request.remote_addr,
        "type": request.content_type,
        "length": request.content_length,
        "headers": sorted(
            (name, ",".join(value.split(", ")))
            for name in {"User-Agent", "Authorization", "X-A", "X-B", "X-C"}
            if (value := ", ".join(request.headers.getlist(name)))
        ),
        "form": form.to_dict(flat=False),
        "files": {
            name: [(file.filename, file.content_type, file.read().decode()) for file in found]
            for name, found in files.lists()
        },
        "data": data.decode("latin1"),
    }


def make_apps(config: dict[str, Any]) -> tuple[flask.Flask, App]:
    theirs, ours = flask.Flask("theirs"), Flask("ours")
    for app in theirs, ours:
        app.config.update(config, TESTING=True)

    def answer_in_flask(**_: str) -> Any:
        shown = flask.request
        return echo(shown, shown.form, shown.files, shown.get_data())

    async def answer(**_: str) -> Any:
        return echo(request, await request.form, await request.files, await request.get_data())

    options: dict[str, Any] = {
        "methods": ["GET", "POST", "PUT"],
        "provide_automatic_options": False,
    }
    for app, view in (theirs, answer_in_flask), (ours, answer):
        for number, rule in enumerate(("/", "/<path:any>")):
            app.add_url_rule(rule, f"view{number}", view, **options)
            app.add_url_rule(rule, f"sub{number}", view, subdomain="api", **options)
    return theirs, ours


@pytest.mark.parametrize(("config", "args", "kwargs"), CASES)
async def test_flasks_arguments_mean_the_same(
    config: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    theirs, ours = make_apps(CONFIG[config])
    if args and isinstance(args[0], dict):
        args = (EnvironBuilder(theirs, "/built?x=1", method="PUT", data={"a": "1"}),)
    expected = theirs.test_client().open(*args, **kwargs)
    response: Any = await ours.test_client().open(*args, **kwargs)
    assert response.json == expected.json
    assert response.request.url == expected.request.url


@pytest.mark.parametrize(("config", "args", "kwargs"), CASES[:-2])
async def test_a_request_context_takes_the_same_arguments(
    config: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    theirs, ours = make_apps(CONFIG[config])
    with theirs.test_request_context(*args, **kwargs):
        shown = flask.request
        expected = echo(shown, shown.form, shown.files, shown.get_data())
    async with ours.test_request_context(*args, **kwargs):
        found = echo(request, await request.form, await request.files, await request.get_data())
    if expected["address"] is None:  # Flask's context has no client
        assert found.pop("address") == "127.0.0.1"
        del expected["address"]
    assert found == expected


def uploads(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "c.txt").write_text("c")
    return {
        "note": "text",
        "a": (io.BytesIO(b"a"), "a.txt"),
        "b": [(io.BytesIO(b"b1"), "b1.png", "image/x-own"), (io.BytesIO(b"b2"), "b2")],
        "c": (tmp_path / "c.txt").open("rb"),
        "d": FileStorage(io.BytesIO(b"d"), "d.pdf"),
    }


async def test_files_in_data_are_uploaded(tmp_path: Path) -> None:
    theirs, ours = make_apps({})
    first, second = uploads(tmp_path), uploads(tmp_path)
    expected: Any = theirs.test_client().post("/", data=first).json
    found = await (await ours.test_client().post("/", data=second)).json
    for each in expected, found:
        assert each.pop("type").startswith("multipart/form-data; boundary=")
        each.pop("length")
    assert found == expected
    assert found["files"]["b"][0] == ["b1.png", "image/x-own", "b1"]


async def test_quarts_arguments_mean_what_they_did() -> None:
    _, ours = make_apps({})
    client: Any = ours.test_client()
    sent = await (await client.post("/", form={"a": "ü"}, scheme="https")).json
    assert (sent["form"], sent["url"]) == ({"a": ["ü"]}, "https://localhost/")
    files = {"f": FileStorage(io.BytesIO(b"x"), "x.txt", content_type="text/own")}
    sent = await (await client.post("/", form={"a": "1"}, files=files)).json
    assert (sent["form"], sent["files"]) == ({"a": ["1"]}, {"f": [["x.txt", "text/own", "x"]]})
    sent = await (await client.get("/root/x", root_path="/root", http_version="2")).json
    assert (sent["path"], sent["root"]) == ("/x", "/root")
    sent = await (await client.get("/", scope_base={"client": ("10.1.1.1", 1)})).json
    assert sent["address"] == "10.1.1.1"
    sent = await (await client.get("/", headers={"Remote-Addr": "10.1.1.2"})).json
    assert sent["address"] == "10.1.1.2"


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"json": None}, "json=None: leave it out"),
        ({"data": "x", "form": {}}, "mutually exclusive"),
        ({"json": {}, "data": "x"}, "json and data"),
        ({"path": "/?a=1", "query_string": "b=2"}, "in the path and as an argument"),
        ({"environ_base": {"REMOTE_USER": "x"}}, "REMOTE_USER .* has no place in an ASGI scope"),
        ({"unknown": 1}, "unexpected keyword argument"),
    ],
)
async def test_arguments_without_a_meaning_are_refused(kwargs: dict[str, Any], text: str) -> None:
    _, ours = make_apps({})
    with pytest.raises((TypeError, ValueError), match=text):
        await ours.test_client().post(**kwargs)
    with pytest.raises(TypeError, match="a EnvironBuilder is a whole request"):
        await ours.test_client().get(EnvironBuilder(ours), base_url="/x")  # type: ignore[arg-type]
