"""The application class."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import CO_COROUTINE, iscoroutinefunction, ismethod
from types import MethodType
from typing import Any, NoReturn, ParamSpec, TypeVar, cast
from urllib.parse import quote

from quart import Blueprint, Quart
from quart.testing import no_op_push
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import BuildError, MapAdapter

from quartapp.flasklike._upstream import cv_app, cv_request, cv_websocket, running_loop
from quartapp.flasklike.asgi.http import HTTPConnection
from quartapp.flasklike.asgi.websockets import Websocket, WebsocketConnection, WebsocketDispatcher
from quartapp.flasklike.cli import AppCommands
from quartapp.flasklike.concurrency.awaiting import can_wait, wait
from quartapp.flasklike.concurrency.cancellation import as_failure, errors_of
from quartapp.flasklike.concurrency.threads import ALSO_SYNC, MOST_AT_ONCE, also_sync, in_thread
from quartapp.flasklike.config import Config, get_debug_flag, share_debug_flag
from quartapp.flasklike.development import DevelopmentServer
from quartapp.flasklike.dispatch import RequestDispatcher
from quartapp.flasklike.extensions import in_flask_contexts
from quartapp.flasklike.routing import Map, Rule, UrlCache
from quartapp.flasklike.sessions import SecureCookieSessionInterface, get_flashed_messages
from quartapp.flasklike.static import StaticFiles
from quartapp.flasklike.templating.environment import Environment, Loader
from quartapp.flasklike.templating.rendering import default_context
from quartapp.flasklike.testing.client import Client
from quartapp.flasklike.testing.commands import CliRunner
from quartapp.flasklike.testing.requests import prepare
from quartapp.flasklike.wrappers.request import Request
from quartapp.flasklike.wrappers.response import Response

_ANCHOR_SAFE = "%!#$&'()*+,/:;=?@"

# The context processors that every blueprint has. They return what `default_context` does, but each
# would take a thread.
_OF_EVERY_BLUEPRINT = Blueprint("any", __name__).template_context_processors[None]

_COROUTINE_FUNCTIONS = {"handle_exception", "handle_user_exception"}
"""What Flask-CORS replaces, by functions that do not await."""

_NO_WSGI = (
    "wsgi_app: App is called by ASGI; write app.asgi_app = Middleware(app.asgi_app), with a"
    " middleware that was written for ASGI"
)

_CLASSES = {"request_class": Request, "response_class": Response, "websocket_class": Websocket}

P = ParamSpec("P")
T = TypeVar("T")


class App(  # type: ignore[misc]  # open_resource has both of two types
    StaticFiles, RequestDispatcher, WebsocketDispatcher, DevelopmentServer
):
    """A Quart application whose errors behave as Flask's documentation says.

    On a real server, `debugger` answers requests whose exception is let through; see
    `quartapp.flasklike.development`.
    """

    asgi_http_class = HTTPConnection
    asgi_websocket_class = WebsocketConnection
    config_class = Config
    jinja_environment = Environment  # type: ignore[assignment]  # Quart's is asynchronous
    request_class = Request
    response_class = Response
    session_interface = SecureCookieSessionInterface()
    test_cli_runner_class = CliRunner  # type: ignore[assignment]  # as Quart's own
    test_client_class = Client  # type: ignore[assignment]  # as Quart's own
    url_map_class = Map
    url_rule_class = Rule  # type: ignore[assignment]  # as Quart's own
    websocket_class = Websocket

    default_config = ImmutableDict(
        {
            **Quart.default_config,
            "MAX_CONTENT_LENGTH": None,
            "SEND_FILE_MAX_AGE_DEFAULT": None,
            "SYNC_THREADS": MOST_AT_ONCE,
            "TEMPLATES_LAZY_LOADING": False,
        }
    )

    def __init__(self, import_name: str, *args: Any, **kwargs: Any) -> None:
        self._url_cache = UrlCache()
        super().__init__(import_name, *args, **kwargs)
        self.cli = AppCommands(self.name)
        self.template_context_processors[None] = []  # `default_context` needs no list

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _CLASSES.keys() & vars(cls).keys():
            _check_class(name, vars(cls)[name])

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CLASSES:
            _check_class(name, value)
        elif name in _COROUTINE_FUNCTIONS and not iscoroutinefunction(value):
            raise TypeError(
                f"App.{name} is awaited, so only a coroutine function can take its place"
                " (for Flask-CORS write CORS(app, intercept_exceptions=False))"
            )
        super().__setattr__(name, value)

    @property
    def wsgi_app(self) -> NoReturn:
        """Raises AttributeError, which says what to write."""
        raise AttributeError(_NO_WSGI)

    @wsgi_app.setter
    def wsgi_app(self, value: object) -> NoReturn:
        raise AttributeError(_NO_WSGI)

    def make_config(self, instance_relative: bool = False) -> Config:
        """The configuration before the application sets anything; DEBUG from the environment."""
        config: Any = super().make_config(instance_relative)  # typed as Flask's
        config["DEBUG"] = get_debug_flag()
        share_debug_flag()
        return config  # type: ignore[no-any-return]

    def ensure_async(self, func: Callable[P, Any]) -> Callable[P, Awaitable[Any]]:
        """*func* itself if it is a coroutine function, else what `sync_to_async` makes of it."""
        code = getattr(func, "__code__", None)
        if code is not None and code.co_flags & CO_COROUTINE:  # faster than Quart's question
            return func
        if code is ALSO_SYNC:
            wrapped = cast(Any, func).__wrapped__
            return MethodType(wrapped, func.__self__) if ismethod(func) else cast(Any, wrapped)
        return super().ensure_async(func)

    def sync_to_async(self, func: Callable[P, T]) -> Callable[P, Awaitable[T]]:
        """Make a synchronous function awaitable; see `concurrency.threads.in_thread`."""
        return in_thread(partial(in_flask_contexts, func))

    def ensure_sync(self, func: Callable[P, Any]) -> Callable[P, Any]:
        """*func*, so that a synchronous function can call it, as decorators do on Flask.

        Of a coroutine function it gets the result. In asynchronous code the call is awaited.
        """
        return also_sync(func) if iscoroutinefunction(func) else func

    def add_background_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Run *func* in a task; an error of it, SystemExit too, is logged and signalled."""
        start = partial(super().add_background_task, errors_of(self.ensure_async(func)))

        async def start_in_the_loop() -> None:
            start(*args, **kwargs)

        if running_loop() is None and can_wait():  # in a synchronous function
            wait(start_in_the_loop())
        else:
            start(*args, **kwargs)

    async def startup(self) -> None:
        """Run the before_serving functions. What they raise is logged, SystemExit too."""
        self.resume_requests()
        await self._serving(super().startup)

    async def shutdown(self) -> None:
        """Wait for background tasks, then run the after_serving functions, as `startup`."""
        await self.end_parting()
        await self._serving(super().shutdown)

    async def _serving(self, functions: Callable[[], Awaitable[None]]) -> None:
        try:
            await functions()
        except (Exception, CancelledError):
            raise  # Quart has logged it
        except BaseException as ending:
            failure = as_failure(ending)
            self.log_exception((type(failure), failure, failure.__traceback__))
            raise failure from failure.__cause__

    def add_url_rule(self, *args: Any, **kwargs: Any) -> None:
        """Add a rule, as in Flask."""
        self._url_cache.clear()
        super().add_url_rule(*args, **kwargs)

    def test_request_context(self, *args: Any, **kwargs: Any) -> Any:
        """The context of a request that is not handled; enter it with ``async with``.

        Takes the arguments of the test client, Flask's or Quart's.
        """
        send_push_promise = kwargs.pop("send_push_promise", no_op_push)
        sent = prepare(self, args, kwargs, {"REMOTE_ADDR": "127.0.0.1"})
        connection: Any = self.asgi_http_class(self, sent.scope)  # type: ignore[arg-type]  # a dict
        request: Any = connection._create_request_from_scope(None)
        request._send_push_promise = send_push_promise
        request.body.set_result(sent.body)
        return self.request_context(request)

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Bind the URLs to *request*, or without one to SERVER_NAME.

        A host that is not in TRUSTED_HOSTS raises SecurityError, a bad request. SERVER_NAME does
        not restrict which hosts are answered, unless subdomains are matched. Returns None without a
        request and without SERVER_NAME.
        """
        config = self.config
        if request is not None:
            if config["TRUSTED_HOSTS"] is not None:
                request.trusted_hosts = config["TRUSTED_HOSTS"]
            subdomain = None
            server_name = config["SERVER_NAME"]
            if self.url_map.host_matching:
                server_name = None
            elif not self.subdomain_matching:
                subdomain = self.url_map.default_subdomain or ""
            url_map: Any = self.url_map  # typed as Werkzeug's
            adapter: MapAdapter = url_map.bind_to_request(request, subdomain, server_name)
            return adapter
        if config["SERVER_NAME"] is None:
            return None
        return self.url_map.bind(
            config["SERVER_NAME"],
            script_name=config["APPLICATION_ROOT"],
            url_scheme="https" if config["PREFER_SECURE_URLS"] else config["PREFERRED_URL_SCHEME"],
        )

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _external: bool | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        **values: Any,
    ) -> str:
        """Build a URL, as in Flask.

        If it cannot be built, `url_build_error_handlers` get all arguments in the values. Relative
        URLs are cached, unless a url_defaults function could change them.
        """
        context: Any = cv_request.get(None) or cv_websocket.get(None)
        if context is not None:
            adapter = context.url_adapter
            if endpoint[:1] == ".":
                blueprint = context.request_websocket.blueprint
                endpoint = endpoint[1:] if blueprint is None else f"{blueprint}{endpoint}"
            if _external is None:
                _external = _scheme is not None
        else:
            app_context = cv_app.get(None)
            adapter = (
                self.create_url_adapter(None) if app_context is None else app_context.url_adapter
            )
            if adapter is None:
                raise RuntimeError(
                    "Unable to build URLs outside an active request"
                    " without 'SERVER_NAME' configured. Also configure"
                    " 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as"
                    " needed."
                )
            if _external is None:
                _external = True
        if _scheme is not None and not _external:
            raise ValueError("When specifying '_scheme', '_external' must be True.")
        try:
            url = self._build(adapter, endpoint, values, _method, _scheme, _external)
        except BuildError as error:
            values.update(_anchor=_anchor, _method=_method, _scheme=_scheme, _external=_external)
            return self.handle_url_build_error(error, endpoint, values)
        if _anchor is not None:
            url = f"{url}#{quote(_anchor, safe=_ANCHOR_SAFE)}"
        return url

    def _build(
        self,
        adapter: Any,  # None if the request's host was refused; AttributeError, as in Flask
        endpoint: str,
        values: dict[str, Any],
        method: str | None,
        scheme: str | None,
        external: bool,
    ) -> str:
        key = None
        if adapter is not None and not (
            external or self.url_default_functions or self.url_map.host_matching
        ):
            key = self._url_cache.key(adapter, endpoint, values, method)
            cached = None if key is None else self._url_cache.get(key)
            if cached is not None:
                return cached
        self.inject_url_defaults(endpoint, values)
        url: str = adapter.build(
            endpoint, values, method=method, url_scheme=scheme, force_external=external
        )
        if key is not None:
            self._url_cache.store(key, url)
        return url

    def create_global_jinja_loader(self) -> Loader:
        """Load templates from the application's folder, then the blueprints'."""
        return Loader(self)

    def create_jinja_environment(self) -> Any:
        """The environment of the templates.

        In debug mode they are reloaded when they change, unless the configuration says otherwise.
        With TEMPLATES_LAZY_LOADING, a template that reads an attribute that SQLAlchemy has not
        loaded loads it; without it, as everywhere in asynchronous code, SQLAlchemy raises
        MissingGreenlet, which shows that a page would send a statement for each row.
        """
        environment: Any = super().create_jinja_environment()
        environment.lazy_loads = self.config["TEMPLATES_LAZY_LOADING"]
        environment.globals["get_flashed_messages"] = get_flashed_messages
        if "auto_reload" not in self.jinja_options and self.config["TEMPLATES_AUTO_RELOAD"] is None:
            environment.auto_reload = self.debug
        return environment

    @also_sync
    async def update_template_context(self, context: dict[str, Any]) -> None:
        """Add what the context processors return. Names that *context* has already keep their
        values.
        """
        request_context: Any = cv_request.get(None) or cv_websocket.get(None)
        names: tuple[str | None, ...] = (None,)
        if request_context is not None:
            names = (None, *reversed(request_context.request_websocket.blueprints))
        original = context.copy()
        context.update(default_context())
        for name in names:
            for processor in self.template_context_processors.get(name, ()):
                if processor in _OF_EVERY_BLUEPRINT:
                    continue
                extra: Any = await self.ensure_async(processor)()
                context.update(extra)
        context.update(original)


def _check_class(name: str, value: Any) -> None:
    """Quart's classes lack what `App` relies on: they would fail, or answer as Quart does."""
    needed = _CLASSES[name]
    if not issubclass(value, needed):
        raise TypeError(
            f"{name} = {value.__name__}: derive {value.__name__} from"
            f" quartapp.flasklike.{needed.__name__}"
        )


Flask = App
"""Flask's name, so that a Flask application needs to change only what it imports from."""
