"""Pages: templates of this folder in an environment of their own.

Filters, globals and context processors of the application have no part in them, so that none of
them can break the page on which its errors are read, and all applications have the same pages.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from quart import Response, request

from quartapp.http_methods import SAFE_METHODS
from quartapp.inbox import tokens
from quartapp.inbox.assets import asset_url
from quartapp.inbox.site import current_site
from quartapp.inbox.text import number_of_people, one_line, visible
from quartapp.reporting.queries.triage import version_of

FOLDER = Path(__file__).parent

NAVIGATION: Mapping[str, str] = {"list": "Errors", "overview": "Overview"}
"""The pages in the navigation, by their endpoints."""

_TITLES = {
    400: "This address cannot be read",
    403: "Not carried out",
    404: "There is nothing here",
    405: "Not carried out",
    409: "Somebody was faster",
    413: "That is too much",
    503: "The database of errors does not answer",
}


async def page(template: str, *, title: str, status: int = 200, **context: Any) -> Response:
    """The page of a template. It has `title`, `here` (the endpoint), and `context`."""
    site = current_site()
    here = (request.endpoint or "").partition(".")[2]
    body = _environment.get_template(template).render(
        title=title,
        here=here,
        app_name=site.app.name,
        root=f"{request.root_path}/",
        own_token=await tokens.own_token(),
        navigation=[(each, text) for each, text in NAVIGATION.items() if each in site.endpoints],
        **context,
    )
    return Response(body, status=status, content_type="text/html; charset=utf-8")


async def failure(status: int, text: str) -> Response:
    """The page of an error, in the words of `text`."""
    title = _TITLES.get(status, "This cannot be shown")
    if status == 400 and request.method not in SAFE_METHODS:
        title = "This form cannot be accepted"
    return await page("failure.html", title=title, status=status, text=text)


def _finalize(value: Any) -> Any:
    """Every text that a template shows; those of Markup are its own."""
    return visible(value) if type(value) is str else value


_EXACT = "%Y-%m-%d %H:%M:%S UTC"


def _time(moment: datetime | float, now: datetime | None = None) -> Markup:
    """A time as "5 min ago", with the exact one in the element."""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    ago = _ago(moment, now or datetime.now(UTC))
    # Digits and words of ours: there is nothing to escape.
    return Markup(
        f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}" title="{moment:{_EXACT}}">{ago}</time>'
    )


def _ago(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    if seconds < 60:
        return "now" if seconds < 10 else f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86400:
        return f"{seconds // 3600:.0f} h ago"
    if seconds < 7 * 86400:
        return f"{seconds // 86400:.0f} d ago"
    return moment.strftime("%Y-%m-%d")


@pass_context
def _token(context: Context) -> Markup:
    """The hidden fields of a form."""
    field = Markup('<input type="hidden" name="{}" value="{}">').format
    own = context["own_token"]
    return field(tokens.FIELD, tokens.token()) + (field("csrf_token", own) if own else "")


_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_finalize,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals |= {
    "url": lambda endpoint, **values: current_site().url(endpoint, **values),
    "error_url": lambda group_id, **values: current_site().error_url(group_id, **values),
    "asset": asset_url,
    "token": _token,
    "version_of": version_of,
}
_environment.filters |= {
    "line": one_line,
    "time": _time,
    "number": "{:,}".format,
    "people": number_of_people,
}
