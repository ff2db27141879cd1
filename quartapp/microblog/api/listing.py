"""Pages of lists, with links to the neighbouring pages in the body and in the Link header."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, Field
from quart import current_app, request

from quartapp.database.types import MAX_ID
from quartapp.flasklike import Response, url_for
from quartapp.microblog.api.bodies import reply
from quartapp.microblog.api.schemas import Listing, PageLinks, PageMeta
from quartapp.microblog.exceptions import Fault, InvalidInputError
from quartapp.microblog.models.paging import MAX_PAGE, Page, PageRequest

LARGEST_PAGE = 100

R = TypeVar("R")


class PageQuery(BaseModel):
    """The query of a list. At most one of page, before and after has an effect."""

    page: int = Field(default=1, ge=1, le=MAX_PAGE, description="A page, counted from 1.")
    per_page: int = Field(
        default=25, ge=1, le=LARGEST_PAGE, description="Items a page; POSTS_PER_PAGE by default."
    )
    before: int = Field(default=MAX_ID, ge=1, le=MAX_ID, description="Items older than this id.")
    after: int = Field(default=1, ge=1, le=MAX_ID, description="Items newer than this id.")


def wanted_page() -> PageRequest:
    """The part of a list that the query string requests.

    Raises NotFoundError for a page that cannot exist, InvalidInputError for an invalid size or for
    a parameter that is given twice.
    """
    for name in PageQuery.model_fields:
        if len(request.args.getlist(name)) > 1:
            raise InvalidInputError([Fault(name, "Give this parameter once.")])
    return PageRequest.parse(request.args, _per_page())


def reply_page(
    page: Page[R], wanted: PageRequest, kind: type[Listing[Any]], show: Callable[[R], BaseModel]
) -> Response:
    """A page as JSON.

    An empty page past either end has no id to continue from: its link leads to the start.
    """
    items: list[Any] = page.items
    older = _link(before=items[-1].id if items else None) if page.has_older else None
    newer = _link(after=items[0].id if items else None) if page.has_newer else None
    listing = kind(
        items=[show(row) for row in page.items],
        meta=PageMeta(per_page=wanted.size, count=len(items)),
        links=PageLinks(self=_link(**_given("page", "before", "after")), next=older, prev=newer),
    )
    relations = {"next": older, "prev": newer}
    header = ", ".join(f'<{url}>; rel="{name}"' for name, url in relations.items() if url)
    return reply(listing, headers={"Link": header} if header else None)


def _per_page() -> int:
    text = request.args.get("per_page")
    if text is None:
        size: int = current_app.config["POSTS_PER_PAGE"]
        return size
    # isascii: int() also accepts digits of other scripts.
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LARGEST_PAGE:
        return int(text)
    fault = Fault("per_page", f"This must be a whole number from 1 to {LARGEST_PAGE}.")
    raise InvalidInputError([fault])


def _link(**position: Any) -> str:
    values = (request.view_args or {}) | _given("per_page") | position
    return url_for(request.endpoint or "", **values)


def _given(*names: str) -> dict[str, str]:
    return {name: request.args[name] for name in names if name in request.args}
