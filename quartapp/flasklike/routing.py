"""URLs: binding the map to a request, building URLs, and a cache of what was built."""

import warnings
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from quart import current_app
from quart.routing import QuartMap, QuartRule
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.routing import MapAdapter

from quartapp.flasklike._upstream import cv_app
from quartapp.flasklike.asgi.scope import path_of

_CONSTANTS = {"None", "True", "False"}  # no argument can have these names

_MOST_CACHED = 4096
"""URLs in the cache of one application."""


class Rule(QuartRule):
    """A rule that compiles the functions that build its URLs when they are first called.

    Werkzeug compiles them when the rule is added, which is most of what creating an application
    costs. It is still done then if it may fail.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = super()._compile_builder
        names = [name for is_argument, name in self._trace if is_argument]
        if self.defaults or len({*names}) < len(names) or not _CONSTANTS.isdisjoint(names):
            return compiled(append_unknown)
        attribute = "_build_unknown" if append_unknown else "_build"

        def build(rule: Any, /, *args: Any, **kwargs: Any) -> tuple[str, str]:
            function = compiled(append_unknown).__get__(rule, None)
            setattr(rule, attribute, function)
            built: tuple[str, str] = function(*args, **kwargs)
            return built

        return build


class Map(QuartMap):
    """A map that is bound to a request as Werkzeug binds one to a WSGI environment.

    A query string that is not UTF-8 is decoded with replacements. A host that cannot be one raises
    `werkzeug.routing.exceptions.BadHost`, a bad request.
    """

    def bind_to_request(
        self, request: BaseRequestWebsocket, subdomain: str | None, server_name: str | None
    ) -> MapAdapter:
        """Bind to the host of *request*, or to *server_name*.

        Without *subdomain* it is what the host has in front of the server's name.
        """
        host = request.host.lower()
        if server_name is None:
            name = host
        else:
            name = _without_default_port(request.scheme, server_name.lower())
        if subdomain is None and not self.host_matching:
            parts, known = host.split("."), name.split(".")
            matches = parts[-len(known) :] == known
            subdomain = ".".join(filter(None, parts[: -len(known)])) if matches else "<invalid>"
            if not matches:
                warnings.warn(
                    f"Current server name {host!r} doesn't match configured server name {name!r}",
                    stacklevel=2,
                )
        return self.bind(
            name,
            request.root_path or "/",
            subdomain,
            request.scheme,
            request.method,
            path_of(request.scope),
            request.query_string.decode("utf-8", "replace"),
        )


@lru_cache(maxsize=256)
def _without_default_port(scheme: str, host: str) -> str:
    if scheme in {"http", "ws"}:
        return host.removesuffix(":80")
    return host.removesuffix(":443")


@lru_cache(maxsize=1024)
def blueprints_of(endpoint: str) -> list[str]:
    """The names of the blueprints that an endpoint is in, the innermost first."""
    names = []
    name, dot, _ = endpoint.rpartition(".")
    while dot:
        names.append(name)
        name, dot, _ = name.rpartition(".")
    return names


def url_for(endpoint: str, **values: Any) -> str:
    """Build a URL with the current application; see `App.url_for` for the values with a "_".

    Raises RuntimeError outside an application context.
    """
    context = cv_app.get(None)
    app = current_app if context is None else context.app  # the proxy costs more
    return app.url_for(endpoint, **values)


class UrlCache:
    """Relative URLs that were built, for a map that no longer changes.

    A relative URL depends only on the endpoint, the values, the method, the script name and the
    subdomain. It does not depend on the host, so clients cannot fill the cache by inventing hosts.
    The size is bounded; the URLs that were stored first are dropped first.
    """

    def __init__(self) -> None:
        self._urls: OrderedDict[tuple[Any, ...], str] = OrderedDict()

    @staticmethod
    def key(
        adapter: MapAdapter, endpoint: str, values: dict[str, Any], method: str | None
    ) -> tuple[Any, ...] | None:
        """The key of a URL; None if a value is neither a str nor an int.

        Other values may be equal and yet have different texts, as True and 1.
        """
        for value in values.values():
            if type(value) is not str and type(value) is not int:
                return None
        return (
            endpoint,
            method or adapter.default_method,
            adapter.script_name,
            adapter.subdomain,
            adapter.websocket,
            *values.items(),
        )

    def get(self, key: tuple[Any, ...]) -> str | None:
        """The URL with this key, None if there is none."""
        return self._urls.get(key)

    def store(self, key: tuple[Any, ...], url: str) -> None:
        """Store *url* if it is relative to the host."""
        if url.startswith("/") and not url.startswith("//"):
            self._urls[key] = url
            if len(self._urls) > _MOST_CACHED:
                self._urls.popitem(last=False)

    def clear(self) -> None:
        """Drop all URLs, because the map has changed."""
        self._urls.clear()
