"""Class-based views."""

from typing import Any

from quart import current_app, request
from quart.typing import ResponseReturnValue, RouteCallable
from quart.views import MethodView as QuartMethodView
from quart.views import View as QuartView
from quart.views import http_method_funcs

from quartapp.flasklike.concurrency.threads import also_sync

__all__ = ["MethodView", "View", "http_method_funcs"]


class View(QuartView):
    """A view whose decorators may be synchronous: they get a response where they call it."""

    @classmethod
    def as_view(cls, name: str, *class_args: Any, **class_kwargs: Any) -> RouteCallable:
        """The function for `add_url_rule`, with the decorators of the class around it."""
        if not cls.decorators:
            return super().as_view(name, *class_args, **class_kwargs)
        made: Any = cls
        shared = None if cls.init_every_request else made(*class_args, **class_kwargs)

        async def answer(**kwargs: Any) -> ResponseReturnValue:
            instance = made(*class_args, **class_kwargs) if shared is None else shared
            result: ResponseReturnValue = await current_app.ensure_async(instance.dispatch_request)(
                **kwargs
            )
            return result

        view: Any = also_sync(answer)
        view.__name__, view.__module__ = name, cls.__module__
        for decorator in cls.decorators:
            view = decorator(view)
        view.__name__, view.__module__, view.__doc__ = name, cls.__module__, cls.__doc__
        view.view_class, view.methods = cls, cls.methods
        view.provide_automatic_options = cls.provide_automatic_options
        function: RouteCallable = view
        return function


class MethodView(View, QuartMethodView):
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
