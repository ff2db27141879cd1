"""Mutants: unhandled errors, flags and teardown."""

from collections.abc import Mapping
from typing import Any

from quart.signals import got_request_exception

from quartapp.flasklike import App
from tests.system.parity.mutants import mutant, muted, reversed_lists


@mutant("got_request_exception is sent")
class NoSignal(App):
    async def handle_exception(self, error: Exception) -> Any:
        with muted(got_request_exception):
            return await super().handle_exception(error)


@mutant("an unhandled error is logged")
class NoLog(App):
    def log_exception(self, exception_info: Any) -> None:
        pass


@mutant("errors propagate under TESTING, DEBUG and PROPAGATE_EXCEPTIONS")
class NeverPropagates(App):
    async def handle_exception(self, error: Exception) -> Any:
        self.config["PROPAGATE_EXCEPTIONS"] = False
        return await super().handle_exception(error)


@mutant("errors do not propagate by default")
class AlwaysPropagates(App):
    async def handle_exception(self, error: Exception) -> Any:
        self.config["PROPAGATE_EXCEPTIONS"] = True
        return await super().handle_exception(error)


@mutant("an error while finalizing an error's answer is logged and the answer sent")
class FinalizingErrorEscapes(App):
    async def finalize_request(self, result: Any, *args: Any, **kwargs: Any) -> Any:
        return await super().finalize_request(result)


@mutant("after_request functions see the answers to errors")
class ErrorsSkipAfterRequest(App):
    async def finalize_request(self, result: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("from_error_handler"):
            return await self.make_response(result)
        return await super().finalize_request(result, *args, **kwargs)


@mutant("TRAP_HTTP_EXCEPTIONS and TRAP_BAD_REQUEST_ERRORS are honoured")
class NothingTrapped(App):
    def __getattribute__(self, name: str) -> Any:
        return (
            (lambda error: False)
            if name == "trap_http_exception"
            else super().__getattribute__(name)
        )


@mutant("the missing key is named in debug mode only")
class KeyAlwaysTold(App):
    async def handle_user_exception(self, error: Exception) -> Any:
        if hasattr(error, "show_exception"):
            error.show_exception = True
        return await super().handle_user_exception(error)


@mutant("MAX_CONTENT_LENGTH is enforced")
class NoLimit(App):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config = Deaf(self.config, "MAX_CONTENT_LENGTH")  # type: ignore[assignment]


class Deaf(dict[str, Any]):
    """A configuration in which one name cannot be set."""

    def __init__(self, config: Mapping[str, Any], name: str) -> None:
        super().__init__(config)
        self.name = name

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        super().__setitem__(self.name, None)


@mutant("should_ignore_error is asked")
class IgnoresNothing(App):
    def __getattribute__(self, name: str) -> Any:
        return (
            (lambda error: False)
            if name == "should_ignore_error"
            else super().__getattribute__(name)
        )


@mutant("teardown_request functions get the error")
class TeardownRequestGetsNone(App):
    async def do_teardown_request(self, exc: Any, request_context: Any = None) -> None:
        await super().do_teardown_request(None, request_context)


@mutant("teardown_appcontext functions get the error")
class TeardownAppcontextGetsNone(App):
    async def do_teardown_appcontext(self, exc: Any) -> None:
        await super().do_teardown_appcontext(None)


@mutant("teardown_request functions run in reverse order of registration")
class TeardownRequestForward(App):
    async def do_teardown_request(self, exc: Any, request_context: Any = None) -> None:
        with reversed_lists(self.teardown_request_funcs):
            await super().do_teardown_request(exc, request_context)


@mutant("teardown_appcontext functions run in reverse order of registration")
class TeardownAppcontextForward(App):
    async def do_teardown_appcontext(self, exc: Any) -> None:
        with reversed_lists({None: self.teardown_appcontext_funcs}):
            await super().do_teardown_appcontext(exc)
