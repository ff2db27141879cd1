"""What the OpenAPI document says about a view, and the view that returns the document.

`document` generates it, and is imported when the document is requested.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from quart import Quart, current_app
from werkzeug.local import LocalProxy

from quartapp.flasklike import Response
from quartapp.microblog.api.blueprint import blueprint

V = TypeVar("V", bound=Callable[..., Any])

STATED = "_api_answers"
"""The attribute of a view that holds its Answers; a view without it is not in the document."""


@dataclass(frozen=True)
class Answers:
    """What a view answers, in addition to what follows from its token, body and page."""

    status: int
    model: type[BaseModel] | None
    errors: frozenset[int]
    paged: bool
    password: bool
    plain: frozenset[int]
    query: dict[str, Any] = field(default_factory=dict)
    filters: dict[str, Any] = field(default_factory=dict)


def answers(
    status: int,
    model: type[BaseModel] | None = None,
    *,
    errors: Iterable[int] = (),
    paged: bool = False,
    password: bool = False,
    plain: Iterable[int] = (),
    query: dict[str, Any] | None = None,
    filters: dict[str, Any] | None = None,
) -> Callable[[V], V]:
    """Say in the document what a view answers. The view is not changed.

    `plain` are errors in the form of Flask's documentation, `query` schemas of parameters that are
    required, and `filters` of others.
    """
    stated = Answers(
        status,
        model,
        frozenset(errors),
        paged,
        password,
        frozenset(plain),
        query or {},
        filters or {},
    )

    def decorate(view: V) -> V:
        setattr(view, STATED, stated)  # `wraps` copies it to the decorated view
        return view

    return decorate


@blueprint.get("/openapi.json")
async def openapi_document() -> Response:
    """The OpenAPI document; made at the first request."""
    # Imported here because quart-schema takes 25 ms, and few processes are ever asked for it.
    from quartapp.microblog.api.document import document

    app = cast(LocalProxy[Quart], current_app)._get_current_object()
    if "api_document" not in app.extensions:
        app.extensions["api_document"] = app.json.dumps(document(app))
    return Response(app.extensions["api_document"], content_type="application/json")
