"""Mutants: which handler is found, what it gets, and how its return value is used."""

from typing import Any

import quart
from werkzeug.exceptions import HTTPException, InternalServerError

from quartapp.flasklike import App
from tests.system.parity.mutants import mutant


@mutant("an exception is handled by a handler of its base class")
class NoMro(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        handler = super()._find_error_handler(e, blueprints)
        keys = {
            cls
            for spec in self.error_handler_spec.values()
            for handlers in spec.values()
            for cls, registered in handlers.items()
            if registered is handler
        }
        return handler if type(e) in keys else None


@mutant("a handler of the code goes before one of the class")
class ClassBeforeCode(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        _, code = self._get_exc_class_and_code(type(e))
        for key in (None, code):
            for name in (*blueprints, None):
                for cls in type(e).__mro__:
                    if cls in self.error_handler_spec[name][key]:
                        return self.error_handler_spec[name][key][cls]
        return None


@mutant("a blueprint's handler goes before the application's")
class AppBeforeBlueprint(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        return super()._find_error_handler(e, []) or super()._find_error_handler(e, blueprints)


@mutant("an inner blueprint's handler goes before an outer one's")
class OuterBeforeInner(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        return super()._find_error_handler(e, blueprints[::-1])


@mutant("only the application's handlers see routing errors")
class RoutingErrorReachesBlueprint(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        return super()._find_error_handler(e, blueprints or list(self.blueprints))


@mutant("a handler of Exception sees HTTP errors")
class ExceptionHandlerSkipsHttp(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        handler = super()._find_error_handler(e, blueprints)
        general = [spec[None].get(Exception) for spec in self.error_handler_spec.values()]
        return None if isinstance(e, HTTPException) and handler in general else handler


@mutant("a handler of HTTPException sees the InternalServerError of an unhandled error")
class HttpHandlerSkipsUnhandled(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        handler = super()._find_error_handler(e, blueprints)
        general = [spec[None].get(HTTPException) for spec in self.error_handler_spec.values()]
        unhandled = getattr(e, "original_exception", None) is not None
        return None if unhandled and handler in general else handler


@mutant("errors without a code, and redirects of the router, reach no handler")
class CodelessIsHandled(App):
    async def handle_http_exception(self, error: HTTPException) -> Any:
        handler = self._find_error_handler(error, quart.request.blueprints)
        return error if handler is None else await self.ensure_async(handler)(error)


@mutant("the InternalServerError has the original exception")
class NoOriginalException(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        if isinstance(e, InternalServerError):
            e.original_exception = None
        return super()._find_error_handler(e, blueprints)


@mutant("the handler of 500 gets the InternalServerError, not the error behind it")
class RawErrorToHandler(App):
    def _find_error_handler(self, e: Exception, blueprints: list[str]) -> Any:
        handler = super()._find_error_handler(e, blueprints)
        original = getattr(e, "original_exception", None)
        if handler is None or original is None:
            return handler

        async def with_original(_: Exception) -> Any:
            return await self.ensure_async(handler)(original)

        return with_original


@mutant("the status of a handler's answer is not set from the code")
class StatusFromCode(App):
    async def handle_http_exception(self, error: HTTPException) -> Any:
        answer = await super().handle_http_exception(error)
        return (answer, error.code) if isinstance(answer, str) else answer


@mutant("an error in a handler is unhandled, not swallowed")
class HandlerErrorsSwallowed(App):
    async def handle_user_exception(self, error: Exception) -> Any:
        try:
            return await super().handle_user_exception(error)
        except Exception as second:
            if second is error:
                raise
            return InternalServerError()
