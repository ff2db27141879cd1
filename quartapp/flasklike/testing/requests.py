"""The requests of the test client and of `test_request_context`, from Flask's arguments or Quart's.

A builder as Flask's makes a WSGI environment of the arguments. The ASGI scope and the body are what
a server would make of the same request.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from quart.utils import encode_headers
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.test import EnvironBuilder as WerkzeugsEnvironBuilder
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Request as WSGIRequest

from quartapp.flasklike._upstream import TEST_CLIENT_KEY

# Keys of an environment that a scope has a place for, besides those of header fields (HTTP_*).
_SCOPE_KEYS = {
    *("CONTENT_LENGTH", "CONTENT_TYPE", "PATH_INFO", "QUERY_STRING", "RAW_URI", "REMOTE_ADDR"),
    *("REMOTE_PORT", "REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT"),
    *("SERVER_PROTOCOL", "wsgi.errors", "wsgi.input", "wsgi.multiprocess", "wsgi.multithread"),
    *("wsgi.run_once", "wsgi.url_scheme", "wsgi.version", "werkzeug.request"),
}


class EnvironBuilder(WerkzeugsEnvironBuilder):
    """Builds a WSGI environment with the defaults of an application's configuration, as Flask's.

    Without *base_url* it is made of *subdomain*, *url_scheme* and the configuration.
    """

    def __init__(
        self,
        app: Any,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if base_url is not None and (subdomain or url_scheme):
            raise AssertionError('Cannot pass "subdomain" or "url_scheme" with "base_url".')
        if base_url is None:
            config = app.config
            host = config["SERVER_NAME"] or "localhost"
            if subdomain:
                host = f"{subdomain}.{host}"
            url = urlsplit(path)
            scheme = url.scheme or url_scheme or config["PREFERRED_URL_SCHEME"]
            root = config["APPLICATION_ROOT"].lstrip("/")
            base_url = f"{scheme}://{url.netloc or host}/{root}"
            path = f"{url.path}?{url.query}" if url.query else url.path
        self.app = app
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: Any, **kwargs: Any) -> str:
        """JSON as the application writes it."""
        text: str = self.app.json.dumps(obj, **kwargs)
        return text


@dataclass(frozen=True)
class Prepared:
    """A request that can be sent: its scope, its body, and itself as a request of Werkzeug's."""

    scope: dict[str, Any]
    body: bytes
    request: WSGIRequest


def prepare(
    app: Any, args: tuple[Any, ...], kwargs: dict[str, Any], environ_base: Mapping[str, Any]
) -> Prepared:
    """The request that these arguments mean.

    They are those of `flask.testing.EnvironBuilder`; or a builder, an environment or a request of
    Werkzeug's alone; or those of Quart's client (form, files, scheme, root_path, http_version,
    scope_base). Raises TypeError or ValueError where they contradict each other, or mean something
    that a scope cannot say.
    """
    kwargs = dict(kwargs)
    scope_base = kwargs.pop("scope_base", None) or {}
    if args and isinstance(args[0], WerkzeugsEnvironBuilder | dict | WSGIRequest):
        if len(args) > 1 or kwargs:
            raise TypeError(f"a {type(args[0]).__name__} is a whole request: give nothing besides")
        environ, headers = _given(app, args[0], environ_base), Headers()
    else:
        environ, headers = _built(app, args, kwargs, environ_base)
    request = WSGIRequest(environ)
    body = environ["wsgi.input"].read()
    return Prepared(_scope(environ, headers) | scope_base, body, request)


def _given(app: Any, given: Any, environ_base: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(given, WSGIRequest):
        return {**environ_base, **given.environ}
    if isinstance(given, dict):
        builder: Any = EnvironBuilder.from_environ(given, app=app)
    else:
        builder = copy(given)
    builder.environ_base = {**environ_base, **(builder.environ_base or {})}
    return cast(dict[str, Any], builder.get_environ())


def _built(
    app: Any, args: tuple[Any, ...], kwargs: dict[str, Any], environ_base: Mapping[str, Any]
) -> tuple[dict[str, Any], Headers]:
    if "json" in kwargs and kwargs["json"] is None:
        raise ValueError(
            "json=None: leave it out to send no body, as Flask does, or write"
            " data='null', content_type='application/json' to send null, as Quart does"
        )
    _translate(kwargs)
    kwargs["environ_base"] = {**environ_base, **(kwargs.get("environ_base") or {})}
    root_path = kwargs.pop("root_path", "")
    http_version = kwargs.pop("http_version", "1.1")
    builder = EnvironBuilder(app, *args, **kwargs)
    if (address := builder.headers.pop("Remote-Addr", None)) is not None:  # as Quart names it
        kwargs["environ_base"]["REMOTE_ADDR"] = address
    builder.server_protocol = f"HTTP/{http_version}"
    if root_path:
        builder.script_root = root_path
        builder.path = builder.path.removeprefix(root_path)
    try:
        return builder.get_environ(), builder.headers
    finally:
        builder.close()


def _translate(kwargs: dict[str, Any]) -> None:
    """Replace the arguments of Quart's client by those that mean the same."""
    if "scheme" in kwargs:
        kwargs["url_scheme"] = kwargs.pop("scheme")
    form, files = kwargs.pop("form", None), kwargs.pop("files", None)
    if form is None and files is None:
        return
    if kwargs.get("data") is not None or "json" in kwargs:
        raise ValueError("'json', 'data', and 'form' with 'files' are mutually exclusive")
    data: MultiDict[str, Any] = MultiDict(form or {})
    for name, file in (files or {}).items():
        data.add(name, file)
    kwargs["data"] = data
    if files is not None:
        kwargs.setdefault("content_type", "multipart/form-data")
    else:
        kwargs.setdefault("content_type", "application/x-www-form-urlencoded")


def _scope(environ: dict[str, Any], headers: Headers) -> dict[str, Any]:
    unknown = [key for key in environ if key not in _SCOPE_KEYS and not key.startswith("HTTP_")]
    if unknown:
        raise TypeError(
            f"{unknown[0]} of an environment has no place in an ASGI scope:"
            " set a header field, or scope_base={...}"
        )
    root_path = _decoded(environ["SCRIPT_NAME"])
    path = root_path + _decoded(environ["PATH_INFO"])
    client = environ.get("REMOTE_ADDR"), int(environ.get("REMOTE_PORT", 0))
    return {
        "type": "http",
        "http_version": environ["SERVER_PROTOCOL"].removeprefix("HTTP/"),
        "asgi": {"spec_version": "2.1"},
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": path,
        "raw_path": iri_to_uri(path).encode("ascii"),
        "query_string": environ["QUERY_STRING"].encode("latin1"),
        "root_path": root_path,
        "headers": encode_headers(_all_headers(environ, headers)),
        "client": None if client[0] is None else client,
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "extensions": {"http.response.push": {}} if environ["SERVER_PROTOCOL"] > "HTTP/2" else {},
        TEST_CLIENT_KEY: False,
    }


def _all_headers(environ: dict[str, Any], headers: Headers) -> Headers:
    """The given header fields, also repeated ones, then what only the environment has."""
    sent = headers.copy()
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        sent.remove(key.replace("_", "-"))
        if environ.get(key) is not None:
            sent[key.replace("_", "-").title()] = environ[key]
    for key, value in environ.items():
        name = key.removeprefix("HTTP_").replace("_", "-").title()
        if name.upper() != key.replace("_", "-") and ", ".join(sent.getlist(name)) != value:
            sent[name] = value
    return sent


def _decoded(value: str) -> str:
    return value.encode("latin1").decode("utf-8", "replace")
