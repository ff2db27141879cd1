"""What the inbox of one application knows: its prefix, its routes, and who may see it."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, cast
from urllib.parse import urlencode

from quart import Quart, current_app, g, request
from quart.wrappers import Request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter, Rule

from quartapp.inbox.live.feed import Feed
from quartapp.reporting.pipeline import Pipeline

NAME = "error_inbox"
"""The name of the blueprint: `url_for("error_inbox.list")`. An application may have one that is
called "inbox"."""

Allow = Callable[[], Any]
"""Whether the sender of the current request may see the inbox; may be asynchronous. If it returns a
text, that is the operator's name."""

_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator has done to an error: for `Inbox(on_act=...)`.

    `kind` is "resolve", "resolve_next", "reopen", "mute", "comment" or "delete". `text` says for
    how long it is muted, for example, or is the comment: any text of at most 4,000 characters.
    """

    kind: str
    who: str
    text: str
    group_id: int
    fingerprint: str
    title: str


OnAct = Callable[[Act], Any]
"""Gets what an operator has done; may be asynchronous."""


class Site:
    """The inbox of one application: `app.extensions["inbox"]`.

    The application's map only builds the inbox's addresses, so that for others it routes none of
    them; this has a map that matches them.
    """

    def __init__(
        self, app: Quart, prefix: str, allow: Allow | None, on_act: OnAct | None = None
    ) -> None:
        self.app = app
        self.on_act = on_act
        self.prefix = prefix
        self.feed = Feed(app)
        self._below = f"{prefix}/"
        self._allow = allow
        self._map = Map(converters=app.url_map.converters)
        for rule in app.url_map.iter_rules():
            if rule.endpoint.startswith(f"{NAME}."):
                self._map.add(_matching(rule))
        self.endpoints = {rule.endpoint.partition(".")[2] for rule in self._map.iter_rules()}

    @property
    def pipeline(self) -> Pipeline:
        """The application's reporting."""
        return cast(Pipeline, self.app.extensions["reporting"])

    def covers(self, path: str) -> bool:
        """Whether a path is the prefix, or below it."""
        return path.startswith(self._below) or path == self.prefix

    async def allows(self) -> bool:
        """Whether the sender of the current request may see the inbox."""
        if self._allow is None:
            return False
        try:
            # Also a plain function here, and not in a thread: it takes as long as a whole 404.
            allowed = self._allow()
            if isawaitable(allowed):
                allowed = await allowed
        except HTTPException:  # abort(403), or the application's own "please log in"
            return False
        g._inbox_operator = allowed if isinstance(allowed, str) else ""
        return bool(allowed)

    @property
    def operator(self) -> str:
        """Who sends the current request, for the record of what was done."""
        return (
            str(g._inbox_operator).strip()[:_NAME_LENGTH] or f"an operator at {request.remote_addr}"
        )

    def error_url(self, group_id: int, **values: str) -> str:
        """The page of an error, to which mails lead too."""
        query = f"?{urlencode(values)}" if values else ""
        return f"{request.root_path}{self.prefix}/{group_id}{query}"

    def match(self, asked: Request) -> tuple[Rule, dict[str, Any]]:
        """The route of a request. Raises werkzeug's NotFound, MethodNotAllowed, RequestRedirect."""
        rule, values = self._bound(asked).match(asked.path, asked.method, return_rule=True)
        return rule, dict(values)

    def url(self, endpoint: str, **values: Any) -> str:
        """The path of a page: `url("list", q="x")`. None as a value leaves it out."""
        return self._bound(request).build(f"{NAME}.{endpoint}", values)

    def _bound(self, asked: Any) -> MapAdapter:
        return self._map.bind(
            asked.host or "localhost",
            asked.root_path or "/",
            url_scheme=asked.scheme,
            query_args=asked.query_string.decode("ascii", "replace"),
        )


def current_site() -> Site:
    """That of the current application."""
    return cast(Site, current_app.extensions["inbox"])


def _matching(rule: Rule) -> Rule:
    # Rules of the class of the application: those of `App` are made at half the cost.
    return type(rule)(
        rule.rule, endpoint=rule.endpoint, methods=rule.methods, defaults=rule.defaults
    )
