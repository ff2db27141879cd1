from typing import Any

import flask
import pytest
from quart import request
from quart.routing import QuartRule
from werkzeug.routing import BuildError

from quartapp.flasklike import App, Blueprint, url_for


async def answer(**values: Any) -> str:
    return str(values)


def make_app(**config: Any) -> App:
    app = App("urls")
    app.config.update(config)
    app.add_url_rule("/", view_func=answer, endpoint="index")
    app.add_url_rule("/user/<name>", view_func=answer, endpoint="user")
    app.add_url_rule("/page/<int:number>", view_func=answer, endpoint="page")
    return app


async def test_builds_what_it_built_before() -> None:
    app = make_app()
    async with app.test_request_context("/"):
        for _ in range(2):
            assert url_for("user", name="susan", page=2) == "/user/susan?page=2"
            assert url_for("user", name="é ") == "/user/%C3%A9%20"
            assert url_for("index", _anchor="a b") == "/#a%20b"
            assert url_for("index", _external=True) == "http://localhost/"
            assert url_for("index", _scheme="https") == "https://localhost/"
            assert url_for("page", number=1) == "/page/1"
            assert url_for("index", b=1, a=2) == "/?b=1&a=2"
            assert url_for("index", a=2, b=1) == "/?a=2&b=1"


async def test_values_that_are_equal_but_read_differently_are_told_apart() -> None:
    app = make_app()
    async with app.test_request_context("/"):
        texts = [url_for("user", name=value) for value in (1, True, 1.0, "1")]
    assert texts == ["/user/1", "/user/True", "/user/1.0", "/user/1"]


async def test_what_was_built_is_not_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    async with app.test_request_context("/") as context:
        url_for("user", name="susan")
        monkeypatch.setattr(context.url_adapter, "build", None)
        assert url_for("user", name="susan") == "/user/susan"


async def test_the_root_path_and_the_subdomain_are_told_apart() -> None:
    app = App("urls", subdomain_matching=True)
    app.config["SERVER_NAME"] = "site.test"
    app.add_url_rule("/", view_func=answer, endpoint="here", subdomain="<area>")
    for area in ("a", "b"):
        for root in ("", "/root"):
            context = app.test_request_context(
                f"{root}/", root_path=root, headers={"Host": f"{area}.site.test"}
            )
            async with context:
                assert url_for("here", area=area) == f"{root}/"
                assert url_for("here", area="c") == f"http://c.site.test{root}/"


async def test_defaults_of_the_request_are_asked_each_time() -> None:
    app = make_app()

    @app.url_defaults
    def name(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("name", request.args["name"])

    for name_ in ("susan", "john"):
        async with app.test_request_context(f"/?name={name_}"):
            assert url_for("user") == f"/user/{name_}"


async def test_a_new_rule_is_seen() -> None:
    app = make_app()
    async with app.test_request_context("/"):
        assert url_for("user", name="susan") == "/user/susan"
        app.add_url_rule("/u/<name>/<x>", view_func=answer, endpoint="user")
        assert url_for("user", name="susan", x="y") == "/u/susan/y"


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartapp.flasklike.routing._MOST_CACHED", 3)
    app = make_app()
    async with app.test_request_context("/"):
        for number in range(10):
            url_for("page", number=number)
    assert len(app._url_cache._urls) == 3


async def test_relative_endpoints_are_of_the_blueprint() -> None:
    app = make_app()
    blueprint = Blueprint("inner", "inner", url_prefix="/in")
    blueprint.add_url_rule("/", view_func=answer, endpoint="index")
    app.register_blueprint(blueprint)
    async with app.test_request_context("/in/"):
        assert url_for(".index") == "/in/"
    async with app.test_request_context("/"):
        assert url_for(".index") == "/"


async def test_what_cannot_be_built_goes_to_the_handlers_with_all_its_arguments() -> None:
    app, seen = make_app(), []

    def handle(error: Exception, endpoint: str, values: dict[str, Any]) -> str:
        seen.append((type(error), endpoint, values))
        return "elsewhere"

    app.url_build_error_handlers.append(handle)
    async with app.test_request_context("/"):
        assert url_for("missing", a=1, _anchor="x", _scheme="https") == "elsewhere"
    arguments = {"_anchor": "x", "_method": None, "_scheme": "https", "_external": True}
    assert seen == [(BuildError, "missing", {"a": 1, **arguments})]


async def test_outside_of_a_request_urls_are_external() -> None:
    app = make_app(SERVER_NAME="site.test", APPLICATION_ROOT="/root", PREFERRED_URL_SCHEME="https")
    async with app.app_context():
        assert url_for("index") == "https://site.test/root/"
    app = make_app()
    async with app.app_context():
        with pytest.raises(RuntimeError, match="Unable to build URLs outside an active request"):
            url_for("index")


async def test_a_scheme_needs_an_external_url() -> None:
    async with make_app().test_request_context("/"):
        with pytest.raises(ValueError, match="'_external' must be True"):
            url_for("index", _scheme="https", _external=False)


async def test_a_scope_without_a_path_is_the_root() -> None:
    response = await make_app().test_client().get("/", scope_base={"path": ""})
    assert response.status_code == 200


@pytest.mark.parametrize("query", [b"q=\xff", b"\xff"])
async def test_a_query_that_is_not_utf8_still_finds_its_view(query: bytes) -> None:
    app = make_app()
    response = await app.test_client().get("/", scope_base={"query_string": query})
    assert response.status_code == 200


def test_a_rule_is_compiled_when_it_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    original = QuartRule._compile_builder

    def note(rule: QuartRule, append_unknown: bool = True) -> Any:
        compiled.append((rule.rule, append_unknown))
        return original(rule, append_unknown)

    monkeypatch.setattr(QuartRule, "_compile_builder", note)
    adapter = make_app().url_map.bind("localhost")
    assert compiled == []
    for _ in range(2):
        assert adapter.build("user", {"name": "a b"}) == "/user/a%20b"
        assert adapter.build("user", {"name": "a", "page": 2}) == "/user/a?page=2"
    assert compiled == [("/user/<name>", True)]
    assert adapter.build("user", {"name": "a"}, append_unknown=False) == "/user/a"
    assert compiled == [("/user/<name>", True), ("/user/<name>", False)]


@pytest.mark.parametrize(
    ("rule", "defaults"),
    [("/<int:number>", {"number": "none"}), ("/<None>", None), ("/<area>/<area>", None)],
)
def test_a_rule_that_cannot_build_is_refused_when_it_is_added(
    rule: str, defaults: dict[str, str] | None
) -> None:
    for app in (App("here"), flask.Flask("there")):
        with pytest.raises(
            (ValueError, SyntaxError), match=r"invalid literal|identifier|duplicate"
        ):
            app.add_url_rule(rule, "view", answer, defaults=defaults)
