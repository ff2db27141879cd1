"""Class-based views."""

from typing import Any

from quart import current_app, request
from quart.typing import ResponseReturnValue
from quart.views import MethodView as QuartMethodView
from quart.views import View, http_method_funcs

__all__ = ["MethodView", "View", "http_method_funcs"]


class MethodView(QuartMethodView):
    """Calls the method named after the request's; for HEAD also `get`."""

    async def dispatch_request(self, **kwargs: Any) -> ResponseReturnValue:
        """Call the method. Raises AssertionError if the class has none."""
        handler = getattr(self, request.method.lower(), None)
        if handler is None and request.method == "HEAD":
            handler = getattr(self, "get", None)
        if handler is None:
            raise AssertionError(f"Unimplemented method {request.method!r}")
        result: ResponseReturnValue = await current_app.ensure_async(handler)(**kwargs)
        return result
