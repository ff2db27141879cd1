"""What the test client returns: a response that is complete, so that nothing waits for its body.

Its body is read as in Flask (``response.data``, ``response.get_json()["name"]``) or as in Quart
(``await response.data``): the values can be awaited, and are then plain ones.
"""

from collections.abc import Generator
from functools import cache
from typing import Any, NoReturn, Self

from quart.wrappers import Response as QuartResponse
from werkzeug.wrappers import Request as WSGIRequest

from quartapp.flasklike._upstream import running_loop


class _Awaitable:
    _plain: Any

    def __await__(self) -> Generator[Any, None, Any]:
        return self._plain(self)
        yield  # a generator, which `await` needs


class _Bytes(_Awaitable, bytes):
    _plain = bytes


class _Text(_Awaitable, str):
    _plain = str


class _Dict(_Awaitable, dict[Any, Any]):
    _plain = dict


class _List(_Awaitable, list[Any]):
    _plain = list


class _Int(_Awaitable, int):
    _plain = int


class _Float(_Awaitable, float):
    _plain = float


class _Constant(_Awaitable):
    """None, True or False, of which there are no subclasses: it can only be awaited."""

    def __init__(self, value: bool | None) -> None:
        self._plain = lambda _: value
        self._text = f"the JSON is {value}, which only awaiting gives: write 'await response.json'"

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(self._text)

    __bool__ = __eq__ = __ne__ = __hash__ = _refuse

    def __repr__(self) -> str:
        return f"<{self._text}>"


_KINDS: dict[type, Any] = {
    bytes: _Bytes,
    str: _Text,
    dict: _Dict,
    list: _List,
    int: _Int,
    float: _Float,
    bool: _Constant,
    type(None): _Constant,
}


def awaitable(value: Any) -> Any:
    """*value*, which may also be awaited. Where no loop runs, a constant is returned itself."""
    kind = _KINDS.get(type(value))
    if kind is None or (kind is _Constant and running_loop() is None):
        return value
    return kind(value)


class TestResponse(QuartResponse):
    """The base of responses from the test client; the application's `response_class` is another."""

    __test__ = False  # for pytest

    request: WSGIRequest
    """What was sent, as a request of Werkzeug's."""

    history: tuple["TestResponse", ...] = ()
    """With follow_redirects, the responses that led to this one."""

    # ``asyncio.run(client.get("/"))``: the client has returned it already, as no loop ran.

    def __await__(self) -> Generator[Any, None, Self]:
        return self
        yield

    def send(self, _value: None) -> NoReturn:
        """End as a coroutine does."""
        raise StopIteration(self)

    def throw(self, *raised: Any) -> NoReturn:
        """Raise what is thrown, as a coroutine does."""
        raise raised[-1]

    @property
    def text(self) -> str:
        """The body, decoded as UTF-8 with replacements."""
        return self._body.decode("utf-8", "replace")

    @property
    def data(self) -> Any:
        """The body as bytes, which may also be awaited."""
        return awaitable(self._body)

    @data.setter
    def data(self, value: bytes | str) -> None:
        self.set_data(value)

    def get_data(self, as_text: bool = False) -> Any:
        """The body as bytes or text, which may also be awaited."""
        return awaitable(self.text if as_text else self._body)

    @property
    def json(self) -> Any:
        """The body as JSON, which may also be awaited; see `get_json`."""
        return self.get_json()

    def get_json(self, force: bool = False, silent: bool = False) -> Any:
        """The body as JSON, which may also be awaited, and must be where it is None or a bool.

        It is None if the mimetype is not JSON, unless *force*. Of invalid JSON *silent* makes None,
        instead of an error.
        """
        if not (force or self.is_json):
            return awaitable(None)
        try:
            return awaitable(self.json_module.loads(self._body))
        except ValueError:
            if not silent:
                raise
            return awaitable(None)

    def close(self) -> Any:
        """Nothing: the body is complete. What is returned may be awaited."""
        return awaitable(None)

    @property
    def _body(self) -> bytes:
        body: Any = self.response
        return bytes(body.data)


@cache
def class_for(response_class: type[Any]) -> type[TestResponse]:
    """`TestResponse` and the application's class in one."""
    return type(response_class.__name__, (TestResponse, response_class), {"__test__": False})
