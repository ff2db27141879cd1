"""Flask, with what docs/groups.md adds to Flask 3.1: rules for exception groups and teardown.

The rules are those of the reference implementation, written from that page. The teardown
is that of Flask 3.2 (all functions run, then the errors are raised), but a single error is raised
as it is.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import flask
import flask.ctx
import flask.globals
from flask.signals import appcontext_popped, appcontext_tearing_down, request_tearing_down

from tests.flasklike.groups.reference import Reference

ABSENT: Any = object()


class Errors:
    """Collects errors, and raises them as one."""

    def __init__(self) -> None:
        self.found: list[BaseException] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # noqa: BLE001  # it is raised later
            self.found.append(error)

    def raise_any(self, message: str) -> None:
        if len(self.found) > 1:
            raise BaseExceptionGroup(message, self.found)
        for error in self.found:
            context = error.__context__
            try:
                raise error
            finally:
                error.__context__ = context


class AppContext(flask.ctx.AppContext):
    def pop(self, exc: BaseException | None = ABSENT) -> None:
        errors = Errors()
        if len(self._cv_tokens) == 1:
            error = sys.exc_info()[1] if exc is ABSENT else exc
            with errors.collected():
                self.app.do_teardown_appcontext(error)
        flask.globals._cv_app.reset(self._cv_tokens.pop())
        with errors.collected():
            appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)
        errors.raise_any("Errors during context teardown")


class RequestContext(flask.ctx.RequestContext):
    def pop(self, exc: BaseException | None = ABSENT) -> None:
        errors = Errors()
        if len(self._cv_tokens) == 1:
            error = sys.exc_info()[1] if exc is ABSENT else exc
            with errors.collected():
                self.app.do_teardown_request(error)
            self.request.environ["werkzeug.request"] = None
        token, app_context = self._cv_tokens.pop()
        flask.globals._cv_request.reset(token)
        if app_context is not None:
            with errors.collected():
                app_context.pop(exc)
        errors.raise_any("Errors during context teardown")


class Oracle(flask.Flask):
    """The application class of Flask's side."""

    def handle_user_exception(self, e: Exception) -> Any:
        if not isinstance(e, BaseExceptionGroup):
            return super().handle_user_exception(e)
        spec = self.error_handler_spec
        handlers: Any = {
            (scope, cls) for scope in spec for code in spec[scope] for cls in spec[scope][code]
        }
        scopes: Any = [*flask.request.blueprints, None]
        reference = Reference(handlers, scopes, self.trap_http_exception)
        word, errors = reference.outcome(e)
        for error in errors[1:]:
            self.log_exception((type(error), error, error.__traceback__))  # type: ignore[arg-type]
        if word != "leaf" or errors[0] is e:
            return super().handle_user_exception(e)
        [bare, *_] = errors
        context = bare.__context__
        try:
            raise bare
        except Exception as raised:  # noqa: BLE001  # as if it had been raised alone
            raised.__context__ = context
            return super().handle_user_exception(raised)

    def _tear_down(
        self, what: str, functions: list[Callable[..., Any]], signal: Any, exc: Any
    ) -> None:
        errors = Errors()
        for function in functions:
            with errors.collected():
                self.ensure_sync(function)(exc)
        with errors.collected():
            signal.send(self, _async_wrapper=self.ensure_sync, exc=exc)
        errors.raise_any(f"Errors during {what} teardown")

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        lists = [
            self.teardown_request_funcs.get(name, ())
            for name in chain(flask.request.blueprints, (None,))
        ]
        functions = [function for each in lists for function in reversed(each)]
        self._tear_down("request", functions, request_tearing_down, exc)

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        functions = self.teardown_appcontext_funcs[::-1]
        self._tear_down("app", functions, appcontext_tearing_down, exc)

    def app_context(self) -> AppContext:
        return AppContext(self)

    def request_context(self, environ: Any) -> RequestContext:
        return RequestContext(self, environ)
