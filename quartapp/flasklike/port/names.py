"""What of Flask's interface has to be awaited on App, and what the results are.

A *kind* names what an expression is: ``flask.request`` is a ``request``, its ``files`` are
``files``, one of them is a ``file``. Names are the same before and after the application is ported:
`canonical` maps those of flask, quart and flasklike to ``flask.NAME``.
"""

from typing import NamedTuple


class Member(NamedTuple):
    """What a name gives: the kind of its value, and whether it has to be awaited."""

    kind: str = ""
    awaited: bool = False


AWAITED = Member("", True)

OBJECTS = {"flask.request": "request", "flask.current_app": "app"}

CLASSES = {
    "flask.App": "app",
    "flask.Flask": "app",
    "flask.Quart": "app",
    "flask.Blueprint": "blueprint",
    "flask.Request": "request",
    "flask.Response": "response",
    "flask.Client": "client",
    "flask.FlaskClient": "client",
    "flask.QuartClient": "client",
    "flask.TestClientProtocol": "client",
    "flask.FlaskCliRunner": "runner",
    "flask.QuartCliRunner": "runner",
    "flask.SessionInterface": "sessions",
    "flask.SecureCookieSessionInterface": "sessions",
    "flask.View": "view",
    "flask.MethodView": "view",
    "flask.TestResponse": "answer",
    "werkzeug.FileStorage": "file",
    "unittest.TestCase": "testcase",
    "unittest.IsolatedAsyncioTestCase": "testcase",
}

ATTRIBUTES = {
    "answer.data": AWAITED,
    "answer.json": AWAITED,
    "request.data": AWAITED,
    "request.files": Member("files", True),
    "request.form": AWAITED,
    "request.json": AWAITED,
    "request.stream": AWAITED,
    "request.values": AWAITED,
    "response.data": AWAITED,
    "response.json": AWAITED,
}

_APP_COROUTINES = (
    "dispatch_request do_teardown_appcontext do_teardown_request finalize_request"
    " full_dispatch_request handle_exception handle_http_exception handle_user_exception"
    " make_default_options_response preprocess_request"
    " send_static_file update_template_context"
)
_REQUESTS = "delete get head open options patch post put trace"

CALLS = {
    "flask.flash": AWAITED,
    "flask.make_response": Member("response", True),
    "flask.render_template": AWAITED,
    "flask.render_template_string": AWAITED,
    "flask.send_file": Member("response", True),
    "flask.send_from_directory": Member("response", True),
    "flask.stream_template": AWAITED,
    "flask.stream_template_string": AWAITED,
    "flask.jsonify": Member("response"),
    "flask.redirect": Member("response"),
    **{f"app.{name}": AWAITED for name in _APP_COROUTINES.split()},
    "app.make_response": Member("response", True),
    "app.process_response": Member("response", True),
    "app.open_resource": Member("resource", True),
    "app.open_instance_resource": Member("resource", True),
    "answer.get_data": AWAITED,
    "answer.get_json": AWAITED,
    "app._get_current_object": Member("app"),
    "app.app_context": Member("app_context"),
    "app.request_context": Member("app_context"),
    "app.test_request_context": Member("app_context"),
    "app.test_client": Member("client"),
    "app.test_cli_runner": Member("runner"),
    "app_context.push": AWAITED,
    "app_context.pop": AWAITED,
    "blueprint.open_resource": Member("resource", True),
    "blueprint.send_static_file": Member("response", True),
    **{f"client.{name}": Member("answer", True) for name in _REQUESTS.split()},
    "client.session_transaction": Member("session_transaction"),
    "file.save": AWAITED,
    "files.get": Member("file"),
    "files.getlist": Member("filelist"),
    "files.items": Member("fileitems"),
    "files.values": Member("filelist"),
    "request._get_current_object": Member("request"),
    "request.get_data": AWAITED,
    "request.get_json": AWAITED,
    "resource.read": AWAITED,
    "resource.readline": AWAITED,
    "resource.readlines": AWAITED,
    "response.add_etag": AWAITED,
    "response.freeze": AWAITED,
    "response.get_data": AWAITED,
    "response.get_json": AWAITED,
    "response.make_conditional": AWAITED,
    "response.make_sequence": AWAITED,
    "view.as_view": Member("view_function"),
    "sessions.open_session": AWAITED,
    "sessions.save_session": AWAITED,
}
"""Functions and methods: what calling them gives."""

ITEMS = {"files": "file", "filelist": "file"}
ELEMENTS = {"filelist": "file", "fileitems": ("", "file")}
ENTERED = {"client": "client", "resource": "resource"}

ASYNC_CONTEXTS = {"app_context", "client", "resource", "session_transaction"}
ASYNC_ITERABLES = {"resource"}

OVERRIDES = {
    ("app", name) for name in (*_APP_COROUTINES.split(), "make_response", "process_response")
} | {("sessions", name) for name in ("open_session", "save_session", "make_null_session")}
"""Methods that a subclass has to define with ``async def``."""

CALLED_BY_APP = frozenset(
    [
        "route",
        "get",
        "post",
        "put",
        "delete",
        "patch",
        "endpoint",
        "errorhandler",
        "app_errorhandler",
        "before_request",
        "before_app_request",
        "after_request",
        "after_app_request",
        "teardown_request",
        "teardown_app_request",
        "teardown_appcontext",
        "context_processor",
        "app_context_processor",
        "after_this_request",
        "register_error_handler",
        "add_url_rule",
    ]
)
"""Decorators and methods of App that register a function, which may be a coroutine function."""

ANSWER = CALLED_BY_APP - {
    "after_app_request",
    "after_request",
    "after_this_request",
    "app_context_processor",
    "context_processor",
    "teardown_app_request",
    "teardown_appcontext",
    "teardown_request",
}
"""Those whose function returns what becomes a response."""

RESPONSE_HOOKS = frozenset(("after_request", "after_app_request", "after_this_request"))

CALLED_SYNCHRONOUSLY = frozenset(
    [
        "url_defaults",
        "app_url_defaults",
        "url_value_preprocessor",
        "app_url_value_preprocessor",
        "template_filter",
        "app_template_filter",
        "template_test",
        "app_template_test",
        "template_global",
        "app_template_global",
        "shell_context_processor",
        "record",
        "record_once",
    ]
)
"""Decorators and methods of App that register a function which is called, not awaited."""

TRANSPARENT = frozenset(
    ("functools.wraps", "builtins.staticmethod", "builtins.classmethod", "abc.abstractmethod")
)

CONTEXT_MANAGERS = {
    "contextlib.contextmanager": "asynccontextmanager",
    "contextlib.asynccontextmanager": "asynccontextmanager",
}

FIXTURES = frozenset(("pytest.fixture", "pytest_asyncio.fixture"))

PYTEST_FLASK = {"client": "client", "app": "app", "runner": "runner"}
"""Parameters of tests for which there may be no fixture in the application's own files."""

BLOCKING = {
    "time.sleep": "await asyncio.sleep(...)",
    "requests": "httpx.AsyncClient",
    "urllib.request": "httpx.AsyncClient",
    "urllib3": "httpx.AsyncClient",
    "http.client": "httpx.AsyncClient",
    "sqlite3": "aiosqlite",
    "psycopg2": "asyncpg or psycopg's AsyncConnection",
    "pymysql": "asyncmy",
    "MySQLdb": "asyncmy",
    "mysql": "asyncmy",
    "sqlalchemy": "sqlalchemy.ext.asyncio",
    "sqlmodel": "sqlmodel.ext.asyncio",
    "peewee": "peewee's asyncio support",
    "pony": "sqlalchemy.ext.asyncio",
    "mongoengine": "beanie",
    "pymongo": "pymongo.AsyncMongoClient",
    "redis": "redis.asyncio",
    "smtplib": "aiosmtplib",
    "boto3": "aioboto3",
    "ldap3": "bonsai",
    "paramiko": "asyncssh",
    "subprocess": "asyncio.create_subprocess_exec",
    "os.system": "asyncio.create_subprocess_shell",
    "os.popen": "asyncio.create_subprocess_shell",
    "flask_pymongo": "pymongo.AsyncMongoClient",
    "flask_mongoengine": "beanie",
}
"""What stops the event loop while it works, and what to use in a coroutine instead."""

NOT_BLOCKING = ("sqlalchemy.ext.asyncio", "redis.asyncio", "sqlmodel.ext.asyncio")

IN_PLAIN_FUNCTIONS = {
    "flask_babel": "quart-babel",
    "flask_caching": "a dictionary, or one of cachetools' caches",
    "flask_httpauth": "request.authorization and a decorator of your own",
    "flask_login": "quart-auth",
    "flask_mail": "aiosmtplib",
    "flask_migrate": "alembic itself",
    "flask_moment": "a template macro with the <time> element",
    "flask_sqlalchemy": "sqlalchemy.ext.asyncio",
    "flask_wtf": "quart-wtforms, or wtforms filled from `await request.form`",
}
"""Extensions that work only in plain functions, and what to use in a coroutine instead."""

EXTENSIONS = {
    "flask_bcrypt": "it works as it is; hash in a thread: await run_sync(...)(...)",
    "flask_cors": "CORS(app, intercept_exceptions=False), or quart-cors",
    "flask_limiter": "it works as it is; or quart-rate-limiter",
    "flask_mailman": "aiosmtplib",
    "flask_marshmallow": "marshmallow itself",
    "flask_mongoengine": "beanie",
    "flask_pymongo": "pymongo.AsyncMongoClient",
    "flask_restful": "quart-schema, or MethodView",
    "flask_restx": "quart-schema",
    "flask_session": "it works as it is; or quart-session",
    "flask_smorest": "quart-schema",
    "flask_socketio": "WebSockets of App: @app.websocket",
    "flask_talisman": "an after_request function, or an ASGI middleware",
}
"""Other extensions of Flask."""

GONE = {
    "flask.Markup": "markupsafe.Markup",
    "flask.escape": "markupsafe.escape",
    "flask.safe_join": "werkzeug.utils.safe_join",
    "flask.JSONEncoder": "flask.json.provider.JSONProvider",
    "flask.JSONDecoder": "flask.json.provider.JSONProvider",
    "flask._request_ctx_stack": "g, or flask.globals.request_ctx",
    "flask._app_ctx_stack": "g, or flask.globals.app_ctx",
}
"""Names that later versions of Flask do not have either."""

WSGI = {
    "app.wsgi_app": "App is called by ASGI: wrap `app.asgi_app` in an ASGI middleware",
    "request.environ": "there is no WSGI environment: `request.scope` is ASGI's",
    "app.before_first_request": "gone since Flask 2.3: use `before_serving`",
    "blueprint.before_app_first_request": "gone since Flask 2.3: use `before_app_serving`",
}

TAKES_COROUTINES = frozenset(
    [
        "create_task",
        "ensure_future",
        "gather",
        "run",
        "run_coroutine_threadsafe",
        "run_until_complete",
        "shield",
        "start_soon",
        "timeout_at",
        "wait",
        "wait_for",
        "add_task",
        "isawaitable",
        "iscoroutine",
    ]
)
"""Functions and methods that are given a coroutine, and await it."""

PACKAGES = ("quartapp.flasklike", "quart", "flask")


def canonical(dotted: str) -> str:
    """The name under which the tables have what is imported as *dotted*."""
    for package in PACKAGES:
        if dotted == package:
            return "flask"
        if dotted.startswith(f"{package}."):
            return f"flask.{dotted.rpartition('.')[2]}"
    if dotted.startswith("werkzeug.") and dotted.endswith(".FileStorage"):
        return "werkzeug.FileStorage"
    return dotted
