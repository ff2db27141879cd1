"""Mutants: what is around the view, and what `App` replaces of Quart's."""

import asyncio
from typing import Any

import quart
import quart.asgi
import quart.wrappers
from quart.signals import request_finished
from werkzeug.exceptions import HTTPException

from quartapp.flasklike import App
from tests.system.parity.mutants import mutant, muted, reversed_lists


@mutant("after_request functions run in reverse order of registration")
class AfterRequestForward(App):
    async def process_response(self, response: Any, request_context: Any = None) -> Any:
        with reversed_lists(self.after_request_funcs):
            return await super().process_response(response, request_context)


@mutant("a before_request function that answers ends the handling")
class BeforeRequestIsIgnored(App):
    async def preprocess_request(self, request_context: Any = None) -> Any:
        await super().preprocess_request(request_context)


@mutant("request_finished is sent")
class NoFinishedSignal(App):
    async def finalize_request(self, result: Any, *args: Any, **kwargs: Any) -> Any:
        with muted(request_finished):
            return await super().finalize_request(result, *args, **kwargs)


@mutant("answers become instances of response_class")
class ForeignAnswers(App):
    async def make_response(self, result: Any) -> Any:
        if isinstance(result, HTTPException):
            return result.get_response()
        return await super().make_response(result)


@mutant("what a view may return is what Flask allows")
class StockReturnValues(App):
    async def make_response(self, result: Any) -> Any:
        return await quart.Quart.make_response(self, result)


@mutant("a URL that cannot be built is offered to the handlers of such errors")
class NoBuildErrorHandlers(App):
    def handle_url_build_error(self, error: Any, endpoint: str, values: dict[str, Any]) -> str:
        raise error


@mutant("a blueprint's context processors serve its templates")
class NoBlueprintContext(App):
    async def update_template_context(self, context: dict[str, Any]) -> None:
        kept = dict(self.template_context_processors)
        for name in [name for name in kept if name is not None]:
            del self.template_context_processors[name]
        await super().update_template_context(context)
        self.template_context_processors.update(kept)


@mutant("setup methods refuse once a request was handled")
class LateSetup(App):
    def _check_setup_finished(self, f_name: str) -> None:
        pass


@mutant("the request is Flask's")
class StockRequest(App):
    pass


StockRequest.request_class = quart.wrappers.Request  # type: ignore[assignment]  # a class refuses it


@mutant("the connection is Flask's on the wire")
class StockConnection(App):
    asgi_http_class = quart.asgi.ASGIHTTPConnection  # type: ignore[assignment]  # the mutation


@mutant("an error in opening the session is handled")
class UnguardedPush(App):
    async def handle_request(self, request: Any) -> Any:
        return await quart.Quart.handle_request(self, request)


@mutant("no task is left behind")
class LeavesTasks(App):
    async def handle_request(self, request: Any) -> Any:
        asyncio.get_running_loop().create_task(asyncio.sleep(0.05))  # the mutation
        return await super().handle_request(request)
