"""The words used in specifications: errors, keys of handlers, hooks, flags, bodies."""

from collections.abc import Callable
from typing import Any

from werkzeug import exceptions
from werkzeug.routing import BaseConverter, RequestRedirect, ValidationError
from werkzeug.wrappers import Response


class Domain(Exception):
    pass


class DomainChild(Domain):
    pass


class DomainGrandchild(DomainChild):
    pass


class Sideways(DomainChild, KeyError):
    """Two bases, so that the order of the MRO matters."""


class NotFoundChild(exceptions.NotFound):
    description = "a special absence"


class MissingDomain(Domain, exceptions.NotFound):
    """An HTTP error that is a domain error too."""


class OutOfStorage(exceptions.HTTPException):
    """A code for which Werkzeug has no class."""

    code = 507
    description = "no room"


class SecondOfStorage(OutOfStorage):
    pass


class NoCode(exceptions.HTTPException):
    description = "no code at all"


class ServerChild(exceptions.InternalServerError):
    pass


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("the error cannot be printed")


class Fatal(BaseException):
    """Not an Exception: no handler gets it."""


class BrittleConverter(BaseConverter):
    """A converter that fails in every possible way."""

    def to_python(self, value: str) -> str:
        if value == "domain":
            raise DomainChild("converter")
        if value == "value":
            raise ValueError("converter")
        if value == "invalid":
            raise ValidationError("converter")
        if value == "http":
            raise exceptions.Gone("converter")
        return value

    def to_url(self, value: object) -> str:
        if value == "domain":
            raise DomainChild("to_url")
        return str(value)


CLASSES: dict[str, type[BaseException]] = {
    cls.__name__: cls
    for cls in (
        Domain,
        DomainChild,
        DomainGrandchild,
        Sideways,
        NotFoundChild,
        MissingDomain,
        OutOfStorage,
        SecondOfStorage,
        ServerChild,
        Unprintable,
        Exception,
        ExceptionGroup,
        KeyError,
        LookupError,
        OSError,
        TypeError,
        ValueError,
        exceptions.HTTPException,
        exceptions.NotFound,
        exceptions.MethodNotAllowed,
        exceptions.BadRequest,
        exceptions.BadRequestKeyError,
        exceptions.Forbidden,
        exceptions.Gone,
        exceptions.InternalServerError,
        exceptions.RequestEntityTooLarge,
        exceptions.UnsupportedMediaType,
        exceptions.SecurityError,
    )
}
CODES = ("400", "403", "404", "405", "410", "413", "415", "418", "500", "503")
# Keys that cannot be registered; the text of the refusal is compared as well.
BAD_KEYS = ("299", "507", "999", "text", "instance", "object", "function")
KEYS = (*CLASSES, *CODES)

Raiser = Callable[[Any], BaseException]
ERRORS: dict[str, Raiser] = {
    "Domain": lambda web: Domain("plain"),
    "DomainChild": lambda web: DomainChild("child"),
    "DomainGrandchild": lambda web: DomainGrandchild("grandchild", 7),
    "Sideways": lambda web: Sideways("sideways"),
    "NotFound": lambda web: exceptions.NotFound(),
    "NotFoundChild": lambda web: NotFoundChild(),
    "MissingDomain": lambda web: MissingDomain("missing"),
    "OutOfStorage": lambda web: OutOfStorage(),
    "SecondOfStorage": lambda web: SecondOfStorage("full"),
    "NoCode": lambda web: NoCode(),
    "ServerChild": lambda web: ServerChild("child of 500"),
    "WithOriginal": lambda web: exceptions.InternalServerError(original_exception=Domain("first")),
    "Unprintable": lambda web: Unprintable("x"),
    "KeyError": lambda web: KeyError("key"),
    "ValueError": lambda web: ValueError("value"),
    "OSError": lambda web: FileNotFoundError(2, "No such file", "missing.txt"),
    "TimeoutError": lambda web: TimeoutError("slow"),
    "AssertionError": lambda web: AssertionError(),
    "Group": lambda web: ExceptionGroup("several", [Domain("a"), KeyError("b")]),
    "GroupOfOne": lambda web: ExceptionGroup("one", [DomainChild("alone")]),
    "GroupOfNotFound": lambda web: ExceptionGroup("one", [exceptions.NotFound()]),
    "GroupOfClientErrors": lambda web: ExceptionGroup(
        "several", [exceptions.Forbidden(), NotFoundChild(), RequestRedirect("/elsewhere")]
    ),
    "GroupOfServerErrors": lambda web: ExceptionGroup(
        "several", [exceptions.NotFound(), exceptions.BadGateway(), OutOfStorage()]
    ),
    "GroupWithABug": lambda web: ExceptionGroup("several", [exceptions.NotFound(), KeyError("b")]),
    "GroupOfGroups": lambda web: ExceptionGroup(
        "several",
        [
            ExceptionGroup("inner", [exceptions.BadRequestKeyError("key")]),
            ExceptionGroup("inner", [Sideways("a"), DomainGrandchild("b")]),
        ],
    ),
    "Fatal": lambda web: Fatal("end"),
    "BadRequestKeyError": lambda web: exceptions.BadRequestKeyError("key"),
    "WithResponse": lambda web: exceptions.Forbidden(response=Response("own", 451)),
    "MethodNotAllowed": lambda web: exceptions.MethodNotAllowed(["GET", "PUT"]),
    "Unauthorized": lambda web: exceptions.Unauthorized("who?"),
    "RequestRedirect": lambda web: RequestRedirect("/elsewhere"),
    "TooManyRequests": lambda web: exceptions.TooManyRequests(retry_after=30),
}
# Raised by calling `abort` with these arguments.
ABORTS: dict[str, Callable[[Any], tuple[Any, dict[str, Any]]]] = {
    "abort 400": lambda web: ((400,), {}),
    "abort 404": lambda web: ((404,), {}),
    "abort 404 text": lambda web: ((404, "<nothing> here"), {}),
    "abort 418": lambda web: ((418,), {}),
    "abort 500": lambda web: ((500,), {}),
    "abort 503": lambda web: ((503,), {}),
    "abort 201": lambda web: ((201,), {}),
    "abort 507": lambda web: ((507,), {}),
    "abort description": lambda web: ((403,), {"description": "for a reason"}),
    "abort response": lambda web: ((web.Response("from abort", status=409),), {}),
}
RAISES = (*ERRORS, *ABORTS)

HOOKS = (
    "before_request",
    "after_request",
    "teardown_request",
    "teardown_appcontext",
    "context_processor",
    "url_value_preprocessor",
    "url_defaults",
)
SIGNALS = (
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
)
FLAGS: dict[str, tuple[Any, ...]] = {
    "TESTING": (True, False),
    "DEBUG": (True, False),
    "PROPAGATE_EXCEPTIONS": (True, False, None),
    "TRAP_HTTP_EXCEPTIONS": (True, False),
    "TRAP_BAD_REQUEST_ERRORS": (True, False, None),
    "MAX_CONTENT_LENGTH": (20, 100_000),
    "MAX_FORM_MEMORY_SIZE": (10,),
    "MAX_FORM_PARTS": (1,),
    "SERVER_NAME": ("parity.test",),
    "TRUSTED_HOSTS": (("localhost", "parity.test"), ("trusted.test",)),
    "APPLICATION_ROOT": ("/root",),
    "PREFERRED_URL_SCHEME": ("https",),
    "PROVIDE_AUTOMATIC_OPTIONS": (False,),
    "SESSION_REFRESH_EACH_REQUEST": (False,),
    "EXPLAIN_TEMPLATE_LOADING": (True,),
}
SESSIONS = ("", "secret", "open_none", "open_error", "open_http", "save_error", "null_error")
OVERRIDES = (
    "ignore_domain",
    "ignore_everything",
    "own_response_class",
    "own_request_class",
    "build_error_handler",
    "build_error_refuses",
    "no_strict_slashes",
    "trap_forbidden",
    "log_exception_fails",
)
LATE = ("", "errorhandler", "route", "before_request", "teardown_appcontext", "blueprint")

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=frontier"
PART = b'--frontier\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
FILE = (
    b'--frontier\r\nContent-Disposition: form-data; name="upload"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nfile text\r\n"
)
# name -> (content type, body, is the length announced)
BODIES: dict[str, tuple[str, bytes, bool]] = {
    "": ("", b"", True),
    "json": (JSON, b'{"name": "susan"}', True),
    "json list": (JSON, b"[1, 2]", True),
    "json broken": (JSON, b'{"name": ', True),
    "json empty": (JSON, b"", True),
    "json latin1": (JSON, b'{"name": "caf\xe9"}', True),
    "json utf16": (JSON, '{"name": "é"}'.encode("utf-16"), True),
    "json as text": ("text/plain", b'{"name": "susan"}', True),
    "json suffix": ("application/problem+json", b'{"name": "susan"}', True),
    "json chunked": (JSON, b'{"name": "susan"}', False),
    "form": (FORM, b"name=susan&name=john", True),
    "form long": (FORM, b"name=" + b"s" * 40, True),
    "form chunked": (FORM, b"name=" + b"s" * 40, False),
    "form invalid": (FORM, b"name=%ff%fe&=&&x", True),
    "multipart": (MULTIPART, PART % (b"name", b"susan") + FILE + b"--frontier--\r\n", True),
    "multipart long": (MULTIPART, PART % (b"name", b"s" * 40) + b"--frontier--\r\n", True),
    "multipart chunked": (MULTIPART, PART % (b"name", b"s" * 40) + b"--frontier--\r\n", False),
    "multipart truncated": (MULTIPART, PART % (b"name", b"susan") + FILE[:40], True),
    "multipart borderless": ("multipart/form-data", PART % (b"name", b"susan"), True),
    "text": ("text/plain; charset=utf-8", "naïve".encode(), True),
    "bytes": ("application/octet-stream", b"\xff\x00\xfe", True),
    "long": ("text/plain", b"x" * 200, True),
    "long chunked": ("text/plain", b"x" * 200, False),
}
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")
