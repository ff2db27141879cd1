"""The OpenAPI document, generated from the views and from what `openapi.answers` says about them.

quart-schema generates paths, bodies and schemas. This module adds what it cannot express: errors as
problem+json, responses without a body, headers, the range of ids. The extension of quart-schema is
not installed (docs/decisions/0015), and this module is imported when the document is requested.
"""

from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from quart import Quart
from quart_schema import DataSource, OpenAPIProvider, QuartSchema
from quart_schema.openapi import HttpSecurityScheme, Info
from werkzeug.routing import BaseConverter, Rule

import quartapp
from quartapp.database.types import MAX_ID
from quartapp.microblog.api.authentication import ANY_SCOPE, NEEDS_TOKEN, needed_scope
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.bodies import OPTIONAL_BODY, TAKES_BODY
from quartapp.microblog.api.ids import IdConverter
from quartapp.microblog.api.listing import PageQuery
from quartapp.microblog.api.openapi import STATED, Answers
from quartapp.microblog.api.schemas import Message, Problem

_REFERENCES = "#/components/schemas/{model}"
_URL = {"schema": {"type": "string", "format": "uri-reference"}, "required": True}
_TEXT = {"schema": {"type": "string"}}
_NUMBER = {"schema": {"type": "integer", "minimum": 1}, "required": True}


class Document(OpenAPIProvider):
    """The document of the blueprint `api`."""

    def generate_rules(self) -> Iterable[Rule]:
        return [
            rule
            for rule in super().generate_rules()
            if rule.endpoint.startswith(f"{blueprint.name}.")
            and hasattr(self._app.view_functions[rule.endpoint], STATED)
        ]

    def build_path_parameter(self, name: str, converter: BaseConverter) -> dict[str, Any]:
        parameter = super().build_path_parameter(name, converter)
        if isinstance(converter, IdConverter):
            parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
        return parameter

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        paths, components = super().build_paths(rule)
        view = self._app.view_functions[rule.endpoint]
        stated: Answers = getattr(view, STATED)
        model = getattr(view, TAKES_BODY, None)
        for path in paths.values():
            for method, operation in path.items():
                if model is not None:
                    body, more = self.build_request_body(model, DataSource.JSON)
                    operation["requestBody"] = body
                    operation["requestBody"]["required"] = not getattr(view, OPTIONAL_BODY)
                    components |= more
                scopes = None
                if hasattr(view, NEEDS_TOKEN):
                    scopes = (
                        [] if hasattr(view, ANY_SCOPE) else [needed_scope(method.upper(), view)]
                    )
                components |= self._complete(operation, stated, scopes)
        return paths, components

    def _complete(
        self, operation: dict[str, Any], stated: Answers, scopes: list[str] | None
    ) -> dict[str, Any]:
        """Add what quart-schema leaves out; `scopes` is None for a view that needs no token."""
        errors = {*stated.errors, 429}
        if scopes is not None:
            # The names of roles, which OpenAPI 3.1 allows for all kinds of security.
            operation["security"] = [{"token": scopes}]
            errors |= {401, 403} if scopes else {401}
        elif stated.password:
            operation["security"] = [{"password": []}]
        if "requestBody" in operation:
            errors |= {400, 413, 415, 422}
        components: dict[str, Any] = {}
        parameters = list(operation["parameters"])
        if stated.paged:
            pages, components = self.build_querystring_parameters(PageQuery)
            parameters += pages
            errors.add(422)
        parameters += [
            {"name": name, "in": "query", "required": True, "schema": schema}
            for name, schema in stated.query.items()
        ]
        parameters += [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in stated.filters.items()
        ]
        operation["parameters"] = parameters
        success, more = _success(stated)
        failures = {str(status): _problem(status) for status in sorted(errors)}
        failures |= {str(status): _message(status) for status in sorted(stated.plain)}
        operation["responses"] = {str(stated.status): success, **failures}
        return components | more | _schema(Problem)[1] | _schema(Message)[1]


@cache
def _schema(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A reference to a model, and the components that it requires."""
    schema = TypeAdapter(model).json_schema(ref_template=_REFERENCES, mode="serialization")
    components = schema.pop("$defs", {})
    components[model.__name__] = schema
    return {"$ref": _REFERENCES.format(model=model.__name__)}, components


def _success(stated: Answers) -> tuple[dict[str, Any], dict[str, Any]]:
    response: dict[str, Any] = {"description": HTTPStatus(stated.status).phrase}
    if stated.status == 201 and not stated.password:
        response["headers"] = {"Location": _URL}
    if stated.paged:
        response["headers"] = {"Link": _TEXT}
    if stated.model is None:
        return response, {}
    reference, components = _schema(stated.model)
    response["content"] = {"application/json": {"schema": reference}}
    return response, components


def _problem(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": _schema(Problem)[0]}},
    }
    if status == 401:  # a 403 has it for a token with too little scope
        response["headers"] = {"WWW-Authenticate": _TEXT | {"required": True}}
    elif status == 429:
        response["headers"] = {"Retry-After": _NUMBER}
    return response


def _message(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": _schema(Message)[0]}},
    }


def document(app: Quart) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    # It is never installed; it only holds what the provider reads.
    settings = QuartSchema(
        info=Info(title="quartapp", version=quartapp.__version__),
        security_schemes={
            "token": HttpSecurityScheme(scheme="bearer"),
            "password": HttpSecurityScheme(scheme="basic"),
        },
    )
    return Document(app, settings).schema()
