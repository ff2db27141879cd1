"""URLs: binding the map to a request, building, and remembering what was built."""

import warnings
from collections import OrderedDict
from functools import lru_cache
from typing import Any

from quart import current_app
from quart.globals import _cv_app
from quart.routing import QuartMap
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.routing import MapAdapter

from quartapp.flasklike.asgi.scope import path_of

_REMEMBERED = 4096


class Map(QuartMap):
    """A map that is bound to a request as Werkzeug binds one to a WSGI environment.

    A query string that is not UTF-8 is decoded with replacements. A host that cannot be one raises
    `werkzeug.routing.exceptions.BadHost`, a bad request.
    """

    def bind_to_request(
        self, request: BaseRequestWebsocket, subdomain: str | None, server_name: str | None
    ) -> MapAdapter:
        """Bind to the host of *request*, or to *server_name*; without *subdomain* find it there."""
        host = request.host.lower()
        name = host if server_name is None else _without_port(request.scheme, server_name.lower())
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


def url_for(endpoint: str, **values: Any) -> str:
    """Build a URL with the current application; see `App.url_for` for the values with a "_".

    Raises RuntimeError outside of an application context.
    """
    context = _cv_app.get(None)
    app = current_app if context is None else context.app  # not the proxy: pages build dozens
    return app.url_for(endpoint, **values)


@lru_cache(maxsize=256)
def _without_port(scheme: str, host: str) -> str:
    if scheme in {"http", "ws"}:
        return host.removesuffix(":80")
    return host.removesuffix(":443")


class UrlMemory:
    """Remembers relative URLs that were built, for a map that no longer changes.

    A relative URL depends only on the endpoint, the values, the method, the script name and the
    subdomain: not on the host, so clients cannot fill the memory by inventing hosts. It is bounded:
    the oldest are forgotten.
    """

    def __init__(self) -> None:
        self._urls: OrderedDict[tuple[Any, ...], str] = OrderedDict()

    @staticmethod
    def key(
        adapter: MapAdapter, endpoint: str, values: dict[str, Any], method: str | None
    ) -> tuple[Any, ...] | None:
        """What a URL is remembered by, None for values whose text is not certain."""
        for value in values.values():
            if (
                type(value) is not str and type(value) is not int
            ):  # a bool is an int, and equal to 1
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
        """The URL that was remembered."""
        return self._urls.get(key)

    def keep(self, key: tuple[Any, ...], url: str) -> None:
        """Remember *url* if it is relative to the host."""
        if url.startswith("/") and not url.startswith("//"):
            self._urls[key] = url
            if len(self._urls) > _REMEMBERED:
                self._urls.popitem(last=False)

    def clear(self) -> None:
        """Forget all, because the map changed."""
        self._urls.clear()
