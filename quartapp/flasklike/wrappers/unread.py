"""What asynchronous code gets for a part of a body that it has not awaited yet."""

from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

from quartapp.flasklike.concurrency.threads import also_sync

P = ParamSpec("P")
T = TypeVar("T")


class Unread(Coroutine[Any, Any, T]):
    """A coroutine that cannot be taken for the value that it returns.

    Any other coroutine is true and has a text, so that ``if request.form:`` would be right by luck.
    """

    __slots__ = ("_coroutine", "_name")

    def __init__(self, coroutine: Coroutine[Any, Any, T], name: str) -> None:
        self._coroutine = coroutine
        self._name = name

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """As a coroutine's, for `asyncio.create_task`."""
        return self._coroutine.send(value)

    def throw(self, *raised: Any) -> Any:
        """As a coroutine's."""
        return self._coroutine.throw(*raised)

    def close(self) -> None:
        """As a coroutine's."""
        self._coroutine.close()

    def _refuse(self, *_: object) -> NoReturn:
        self._coroutine.close()  # or Python would warn, too
        raise TypeError(f"{self._name} is a coroutine in asynchronous code: await it")

    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __str__ = __format__ = _refuse

    def __eq__(self, other: object) -> bool:
        return self is other or self._refuse()

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"{self._name} is a coroutine in asynchronous code, without {name!r}: await it"
        )


def read_later(
    name: str,
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """As `also_sync`, but asynchronous code gets an `Unread`, called *name* in its errors."""

    def decorate(
        function: Callable[P, Coroutine[Any, Any, T]],
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        @also_sync
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            return Unread(function(*args, **kwargs), name)

        return call

    return decorate
