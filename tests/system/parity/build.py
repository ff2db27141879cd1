"""Build the application of a specification on one framework."""

from collections.abc import Callable
from typing import Any

from jinja2 import DictLoader
from werkzeug.exceptions import Forbidden, ServiceUnavailable

from tests.system.parity import templates
from tests.system.parity.observe import describe, describe_active_error
from tests.system.parity.run import Run
from tests.system.parity.sides import Body
from tests.system.parity.specification import Function, Handler, Hook, Route, Scope, Spec
from tests.system.parity.steps import TEMPLATES, perform
from tests.system.parity.vocabulary import CLASSES, BrittleConverter, Domain

Default = Callable[[tuple[Any, ...]], Any]


def nothing(args: tuple[Any, ...]) -> Any:
    return None


def the_response(args: tuple[Any, ...]) -> Any:
    return args[0]


def a_context(args: tuple[Any, ...]) -> Any:
    return {"colour": "red"}


HOOK_DEFAULTS: dict[str, Default] = {
    "after_request": the_response,
    "context_processor": a_context,
}
# Flask calls these without asking whether they are async.
ALWAYS_SYNC = ("url_value_preprocessor", "url_defaults")


def make(run: Run, label: str, function: Function, default: Default, always_sync: bool) -> Any:
    """The function that `function` describes; it records each of its calls."""
    sync = function.sync or always_sync

    def body(*args: Any, **kwargs: Any) -> Body:
        shown = describe((*args,)[-1] if args else None, run.app.response_class)
        place, _, rest = label.partition(" ")
        run.journal.mark(f"call {place}" if place != "receiver" else f"signal {rest.split()[0]}")
        run.journal.note("call", label, shown, len(args), describe(kwargs, object))
        run.journal.note("state", describe_active_error(), run.count())
        for step in function.steps:
            ended, value = yield from perform(run, step, args, sync)
            if ended:
                return value
        yield
        return default(args)

    return run.side.function(body, sync=sync)


def build(spec: Spec, run: Run) -> Any:
    """The application. Errors of registering are recorded, not raised."""
    app = run.app = make_app(spec, run)
    targets = [app]
    for number, scope in enumerate(spec.scopes):
        target = app if number == 0 else run.web.Blueprint(scope.name, __name__)
        if number:
            targets.append(target)
        fill(run, scope, target)
    for number in range(len(spec.scopes) - 1, 0, -1):
        scope = spec.scopes[number]
        parent = targets[scope.parent] if scope.parent < number else app
        attempt(
            run, "register", parent.register_blueprint, targets[number], url_prefix=scope.prefix
        )
    for number, receiver in enumerate(spec.receivers):
        label = f"receiver {receiver.signal} {number}"
        run.connect(receiver.signal, make(run, label, receiver.function, nothing, False))
    return app


def attempt(run: Run, what: str, action: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    try:
        action(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  # the error is what is observed
        run.journal.note("refused", what, type(error).__name__, str(error))


def make_app(spec: Spec, run: Run) -> Any:
    app_class = type("App", (run.side.app_class,), app_attributes(spec, run))
    app = app_class("parity", root_path="/nonexistent", static_folder=None)
    app.config.update(spec.config)
    if spec.session:
        app.config["SECRET_KEY"] = "not secret"
    app.url_map.converters["brittle"] = BrittleConverter
    if "no_strict_slashes" in spec.overrides:
        app.url_map.strict_slashes = False
    if "build_error_handler" in spec.overrides:
        app.url_build_error_handlers.append(build_error_handler(run))
    if "build_error_refuses" in spec.overrides:
        app.url_build_error_handlers.append(build_error_refuses)
    app.session_interface = make_session(spec, run)
    return app


def build_error_handler(run: Run) -> Callable[..., str | None]:
    def handle(error: Exception, endpoint: str, values: dict[str, Any]) -> str | None:
        run.journal.note("build error", endpoint, str(error), sorted(values.items(), key=str))
        return "/rescued" if endpoint == "nowhere" else None

    return handle


def build_error_refuses(error: Exception, endpoint: str, values: dict[str, Any]) -> str | None:
    raise Domain("no such URL")


def app_attributes(spec: Spec, run: Run) -> dict[str, Any]:
    """What a subclass of the framework's class would override."""
    attributes: dict[str, Any] = {"jinja_loader": DictLoader({**TEMPLATES, **templates.FILES})}
    if "ignore_domain" in spec.overrides:
        attributes["should_ignore_error"] = lambda self, error: isinstance(error, Domain)
    if "ignore_everything" in spec.overrides:
        attributes["should_ignore_error"] = lambda self, error: True
    if "own_response_class" in spec.overrides:
        base = run.side.app_class.response_class
        attributes["response_class"] = type("Own", (base,), {"default_mimetype": "text/own"})
    if "trap_forbidden" in spec.overrides:
        attributes["trap_http_exception"] = lambda self, error: isinstance(error, Forbidden)
    if "log_exception_fails" in spec.overrides:

        def log_exception(self: Any, exc_info: Any) -> None:
            run.journal.note("log_exception", describe(exc_info[1], object))
            raise Domain("while logging")

        attributes["log_exception"] = log_exception
    return attributes


def make_session(spec: Spec, run: Run) -> Any:
    base = run.web.session_interface

    def opening(result: Callable[[], Any]) -> Callable[..., Any]:
        def body(*args: Any) -> Body:
            run.journal.note("open session")
            yield
            return result()

        return run.side.function(body, sync=False)

    def fail(error: Callable[[], BaseException]) -> Callable[..., Any]:
        def body(*args: Any) -> Body:
            yield
            raise error()

        return run.side.function(body, sync=False)

    attributes: dict[str, Any] = {}
    if spec.session == "open_none":
        attributes["open_session"] = opening(lambda: None)
    if spec.session == "open_error":
        attributes["open_session"] = fail(lambda: Domain("opening"))
    if spec.session == "open_http":
        attributes["open_session"] = fail(lambda: ServiceUnavailable("opening"))
    if spec.session == "save_error":
        attributes["save_session"] = fail(lambda: Domain("saving"))
    if spec.session == "null_error":
        attributes["open_session"] = opening(lambda: None)
        attributes["make_null_session"] = fail(lambda: Domain("null session"))
    return type("Sessions", (base,), attributes)()


def fill(run: Run, scope: Scope, target: Any) -> None:
    for number, handler in enumerate(scope.handlers):
        label = f"handler {scope.name} {number} {handler.key}"
        attempt(run, label, add_handler, run, target, handler, label)
    for number, hook in enumerate(scope.hooks):
        label = f"{hook.on} {scope.name} {number}"
        attempt(run, label, add_hook, run, target, hook, label)
    for number, route in enumerate(scope.routes):
        attempt(run, f"{scope.name} route", add_route, run, scope, target, route, number)


def a_body(args: tuple[Any, ...]) -> Any:
    return "done"


def resolve_key(key: str) -> Any:
    if key.isdigit():
        return int(key)
    odd = {"text": "404", "instance": Domain("x"), "object": object, "function": resolve_key}
    return odd[key] if key in odd else CLASSES[key]


def add_handler(run: Run, target: Any, handler: Handler, label: str) -> None:
    function = make(run, label, handler.function, a_body, False)
    key = resolve_key(handler.key)
    if handler.everywhere and hasattr(target, "app_errorhandler"):
        target.app_errorhandler(key)(function)
    elif handler.decorated:
        target.errorhandler(key)(function)
    else:
        target.register_error_handler(key, function)


EVERYWHERE = {
    "before_request": "before_app_request",
    "after_request": "after_app_request",
    "teardown_request": "teardown_app_request",
    "context_processor": "app_context_processor",
    "url_value_preprocessor": "app_url_value_preprocessor",
    "url_defaults": "app_url_defaults",
}


def add_hook(run: Run, target: Any, hook: Hook, label: str) -> None:
    default = HOOK_DEFAULTS.get(hook.on, nothing)
    function = make(run, label, hook.function, default, hook.on in ALWAYS_SYNC)
    name = hook.on
    if name == "teardown_appcontext":
        target = run.app
    elif hook.everywhere and target is not run.app:
        name = EVERYWHERE[name]
    getattr(target, name)(function)


def add_route(run: Run, scope: Scope, target: Any, route: Route, number: int) -> None:
    label = f"view {scope.name} {number}"
    function = make(run, label, route.function, a_body, False)
    endpoint = endpoint_of(scope, route, number)
    if route.style == "function":
        function.__name__ = endpoint
        target.add_url_rule(
            route.path,
            endpoint,
            function,
            methods=list(route.methods),
            provide_automatic_options=route.automatic_options,
        )
        return
    if route.style == "method_view":
        methods = {method.lower(): staticmethod(function) for method in route.methods}
        view: Any = type("Methods", (run.web.MethodView,), methods)
        target.add_url_rule(route.path, view_func=view.as_view(endpoint))
        return
    attributes = {"methods": list(route.methods), "dispatch_request": staticmethod(function)}
    if route.style == "view_static":
        attributes["init_every_request"] = False
    single: Any = type("Single", (run.web.View,), attributes)
    target.add_url_rule(route.path, view_func=single.as_view(endpoint))


def endpoint_of(scope: Scope, route: Route, number: int) -> str:
    if scope.name == "app" and number == 0:
        return "index"
    return "convert" if "<brittle:value>" in route.path else f"view{number}"
