"""The page of an address that no route has: which routes there are, the most similar first."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice

from werkzeug.routing import Map, Rule

from quartapp.debugger.page.rendering import PREFIX, page_template
from quartapp.debugger.page.text import bounded, clean

MAX_ROUTES = 200
MAX_COMPARED = 2000
MAX_PATH = 200
"""Characters of the path that are compared and shown."""

OWN_PAGE = "__debugger__"
"""An argument of the query that asks for the application's own page."""


@dataclass(frozen=True)
class Route:
    """`link` is an address to visit, for a route without arguments that answers GET."""

    methods: str
    rule: str
    endpoint: str
    link: str


def nearest(rules: Iterable[Rule], path: str, root: str = "") -> list[Route]:
    """At most MAX_ROUTES routes: those that begin like the path first, then the most similar."""
    path = path[:MAX_PATH]
    segments = path.split("/")[1:]
    matcher = SequenceMatcher(b=path, autojunk=False)

    def distance(rule: Rule) -> tuple[int, float, str]:
        matcher.set_seq1(rule.rule[:MAX_PATH])
        return -_equal_segments(rule, segments), -matcher.quick_ratio(), rule.rule

    found = sorted(islice(rules, MAX_COMPARED), key=distance)
    return [_route(rule, root) for rule in found[:MAX_ROUTES]]


def render_routes(url_map: Map, *, method: str, path: str, status: int, root: str = "") -> str:
    """The page of a 404 or 405 that no route has answered. `root` is where the application is
    mounted."""
    return page_template("routes.html").render(
        status=status,
        method=clean(method),
        path=bounded(clean(path), MAX_PATH),
        routes=nearest(url_map.iter_rules(), path, root),
        prefix=PREFIX,
        own_page=OWN_PAGE,
    )


def _equal_segments(rule: Rule, segments: list[str]) -> int:
    count = 0
    for one, other in zip(rule.rule.split("/")[1:], segments, strict=False):
        if one != other and not (one.startswith("<") and other):
            break
        count += 1
    return count


def _route(rule: Rule, root: str) -> Route:
    if rule.websocket:
        methods = "WEBSOCKET"
    else:
        methods = ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})) or "any"
    is_link = "GET" in (rule.methods or ()) and not rule.arguments and not rule.websocket
    host = rule.host or rule.subdomain
    return Route(
        methods=methods,
        rule=clean(f"{rule.rule} ({host})" if host else rule.rule),
        endpoint=clean(str(rule.endpoint)),
        link=f"{root}{rule.rule}" if is_link and not host else "",
    )
