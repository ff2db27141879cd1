"""What all extensions check before they install themselves in an application, and how those that
have to see everything are put around it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quart import Quart


def check_installable(app: "Quart", part: type, key: str) -> None:
    """Raise RuntimeError if a part cannot be installed in an application, or not any more.

    `key` is its name in `app.extensions`.
    """
    if key in app.extensions:
        raise RuntimeError(f"{part.__name__} is installed in the application {app.name!r} already.")
    if hasattr(app, "shutdown_event"):  # made when it begins to serve
        raise RuntimeError(
            f"The application {app.name!r} has begun to serve: install {part.__name__} before."
        )


OUTERMOST, MEASURING, ACCESS, RECORDING = range(4)
"""The order of the middleware around an application, from the outside. What is further out sees the
responses and the exceptions of what is inside; all of them see what other middleware answers."""


class Outer:
    """ASGI middleware with a place in that order; `asgi_app` is what it is around."""

    def __init__(self, asgi_app: Any, place: int) -> None:
        self.asgi_app = asgi_app
        self.place = place


def wrap_outermost(app: Any, make: Callable[[Any], Outer], place: int) -> None:
    """Put middleware around an application and all that was wrapped around it, unless it is there.

    Where several are put around it, their places decide, and not the order of the calls. Call it
    again when the application begins to serve.
    """
    outer = app
    while isinstance(outer.asgi_app, Outer) and outer.asgi_app.place < place:
        outer = outer.asgi_app
    inner = outer.asgi_app
    if not (isinstance(inner, Outer) and inner.place == place):
        outer.asgi_app = make(inner)
