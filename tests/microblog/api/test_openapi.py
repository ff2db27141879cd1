"""The OpenAPI document; making it does not change the application."""

from datetime import UTC, datetime
from typing import Any

import pytest
from quart import jsonify
from quart.json.provider import DefaultJSONProvider

from quartapp.flasklike import App
from quartapp.microblog.api.document import document
from quartapp.microblog.config import Settings
from tests.microblog.api.conftest import Caller


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in schema["paths"].values() for operation in path.values()]


async def test_the_document_is_served_without_a_token(app: App, nobody: Caller) -> None:
    answer = await nobody("GET", "/api/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == document(app)
    assert answer.json["openapi"].startswith("3.1")


async def test_every_reference_leads_somewhere(app: App) -> None:
    schema = document(app)
    known = set(schema["components"]["schemas"])

    def references(part: object) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"].rpartition("/")[2]} if "$ref" in part else set()
            return own.union(*map(references, part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    assert references(schema["paths"]) <= known
    assert references(schema["components"]) <= known


async def test_every_operation_says_who_may_and_what_goes_wrong(app: App) -> None:
    schema = document(app)
    names = [operation["operationId"] for operation in operations(schema)]
    assert len(names) == len(set(names)) == 21
    for operation in operations(schema):
        assert operation["summary"]
        answers = operation["responses"]
        assert ("401" in answers) is bool(operation.get("security"))
        [scopes] = [
            scheme["token"] for scheme in operation.get("security", []) if "token" in scheme
        ] or [[]]
        assert ("403" in answers) or not scopes
        assert ("415" in answers) is ("requestBody" in operation)
        assert len([status for status in answers if status < "400"]) == 1


async def test_nothing_but_the_api_is_described(app: App) -> None:
    assert {path.split("/")[1] for path in document(app)["paths"]} == {"api"}


async def test_the_rest_of_the_application_keeps_its_json(app: App, nobody: Caller) -> None:
    """With quart-schema's extension dates would be in ISO 8601, while Flask's are HTTP dates."""

    async def view() -> Any:
        return jsonify(when=datetime(2030, 1, 1, tzinfo=UTC))

    app.add_url_rule("/when", view_func=view)
    assert type(app.json) is DefaultJSONProvider
    assert (await nobody("GET", "/when")).json == {"when": "Tue, 01 Jan 2030 00:00:00 GMT"}


@pytest.mark.slow
async def test_no_page_of_the_document_asks_another_server(app: App, settings: Settings) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    assert not rules & {"/docs", "/redocs", "/scalar", "/openapi.json"}
