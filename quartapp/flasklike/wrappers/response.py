"""From a view's return value to a response, and from a response to the bytes that are sent."""

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any

from quart import current_app
from quart.wrappers import Response as QuartResponse
from quart.wrappers.response import DataBody, IterableBody, ResponseBody
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.http import remove_entity_headers
from werkzeug.sansio.response import Response as SansIOResponse
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as WSGIResponse

from quartapp.flasklike.concurrency.threads import also_sync, in_thread, iterate_in_thread

if TYPE_CHECKING:
    from quart import Quart

# Flask's message, for which people search. A WSGI callable is not accepted here.
_ALLOWED_KINDS = (
    " The return type must be a string, dict, list, tuple with headers or status,"
    " Response instance, or WSGI callable, but it was a {}."
)


class StreamBody(IterableBody):
    """A body that is produced part by part, by a synchronous iterable in threads."""

    def __init__(self, iterable: AsyncIterable[Any] | Iterable[Any]) -> None:
        self.iter: AsyncIterator[Any]
        if isinstance(iterable, AsyncIterable):
            self.iter = aiter(iterable)
        else:
            self.iter = iterate_in_thread(iter(iterable))


class PartsBody(ResponseBody):
    """A complete body in parts."""

    def __init__(self, parts: Sequence[str | bytes]) -> None:
        self.parts = parts

    async def __aenter__(self) -> AsyncIterable[bytes]:
        return self._encoded()

    async def __aexit__(self, exc_type: type, exc_value: BaseException, tb: TracebackType) -> None:
        return None

    async def _encoded(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part.encode() if isinstance(part, str) else part

    def data(self) -> bytes:
        """All of it."""
        return b"".join(part.encode() if isinstance(part, str) else part for part in self.parts)


class Response(QuartResponse):
    """A response that takes what Flask's takes: also a status text, a bytearray, or a list."""

    iterable_body_class = StreamBody
    add_etag = also_sync(QuartResponse.add_etag)
    freeze = also_sync(QuartResponse.freeze)
    get_data: Any = also_sync(QuartResponse.get_data)  # overloaded by `as_text`
    get_json = also_sync(QuartResponse.get_json)
    make_conditional = also_sync(QuartResponse.make_conditional)
    make_sequence = also_sync(QuartResponse.make_sequence)
    # on the class, for responses of other classes that become this one's
    _on_close: tuple[Callable[[], Any], ...] = ()

    def __init__(
        self,
        response: ResponseBody | str | bytes | Iterable[Any] | AsyncIterable[Any] | None = None,
        status: Any = None,
        headers: Any = None,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> None:
        if isinstance(response, bytearray):
            response = bytes(response)
        elif response is None:
            response = PartsBody(())
        elif isinstance(response, (list, tuple)):
            response = PartsBody(response)
        super().__init__(response, status, headers, mimetype, content_type)

    @property
    def data(self) -> Coroutine[Any, Any, bytes]:
        """The body; in a synchronous function, without ``await``."""
        data: Coroutine[Any, Any, bytes] = self.get_data(as_text=False)
        return data

    @data.setter
    def data(self, value: bytes) -> None:
        self.set_data(value)

    @property
    def json(self) -> Coroutine[Any, Any, Any]:
        """What `get_json` returns."""
        return self.get_json()

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        """Call *func* when the body was sent, or will not be sent; in a thread if synchronous."""
        self._on_close = (*self._on_close, func)
        return func

    async def close(self) -> None:
        """Close what produces the body, then call the functions of `call_on_close`, once."""
        functions, self._on_close = self._on_close, ()
        try:
            if isinstance(self.response, IterableBody):
                close = getattr(self.response.iter, "aclose", None)
                if close is not None:
                    await close()
        finally:
            for func in functions:
                await (func() if iscoroutinefunction(func) else in_thread(func)())


async def close_response(response: Any) -> None:
    """Close a response that was sent or that nobody will send. Other classes need no closing."""
    if isinstance(response, Response):
        await response.close()


@also_sync
async def make_response(*args: Any) -> Any:
    """Make a response of anything that a view may return, for instance to set headers."""
    if not args:
        return current_app.response_class()
    return await current_app.make_response(args[0] if len(args) == 1 else args)


def split_result(result: Any) -> tuple[Any, Any, Any]:
    """Split a view's return value into body, status and headers."""
    if not isinstance(result, tuple):
        return result, None, None
    if len(result) == 3:
        return result
    if len(result) == 2:
        body, other = result
        if isinstance(other, (Headers, dict, tuple, list)):
            return body, None, other
        return body, other, None
    raise TypeError(
        "The view function did not return a valid response tuple."
        " The tuple must have the form (body, status, headers),"
        " (body, status), or (body, headers)."
    )


async def make_from_result(app: "Quart", result: Any, endpoint: str | None) -> QuartResponse:
    """Convert a view's return value to `app.response_class`, as `flask.Flask.make_response` does.

    HTTP errors and responses of Werkzeug and Quart are converted too, so that after_request
    functions see one class. Raises TypeError, with Flask's message, for any other value.
    """
    body, status, headers = split_result(result)
    if body is None:
        raise TypeError(
            f"The view function for {endpoint!r} did not return a valid response."
            " The function either returned None or ended without a return statement."
        )
    cls: type[QuartResponse] = app.response_class
    if isinstance(body, cls):
        response = body
    elif isinstance(body, (str, bytes, bytearray, Iterator, AsyncIterator)):
        response = cls(body, status, headers)
        status = headers = None
    elif isinstance(body, (dict, list)):
        response = app.json.response(body)  # type: ignore[assignment]  # typed for Flask's class
    elif isinstance(body, (HTTPException, SansIOResponse)):
        response = convert_response(body, cls)
    else:
        raise TypeError(
            "The view function did not return a valid response."
            + _ALLOWED_KINDS.format(type(body).__name__)
        )
    if isinstance(status, str):
        response.status = status
    elif status is not None:
        response.status_code = status
    if headers:
        response.headers.update(headers)
    return response


def convert_response(value: Any, cls: type[QuartResponse]) -> QuartResponse:
    """Make an HTTP error, or a response of another class, a *cls*."""
    if isinstance(value, HTTPException):
        value = value.get_response()
    if isinstance(value, cls):
        return value
    if isinstance(value, QuartResponse):
        value.__class__ = cls  # what Werkzeug's force_type does
        return value
    if isinstance(value, WSGIResponse):
        body = list(value.iter_encoded()) if value.is_sequence else value.iter_encoded()
        status: Any = value.status
        response = cls(b"".join(body) if isinstance(body, list) else body, status, value.headers)
        if isinstance(response, Response):
            response.call_on_close(value.close)
        return response
    raise TypeError(f"{type(value).__name__} has no body that could be sent")


def is_bodiless(method: str, status: int) -> bool:
    """Whether HTTP allows no body in this answer."""
    return method == "HEAD" or 100 <= status < 200 or status in {204, 304}


def complete_data(response: Any) -> bytes | None:
    """The whole body of *response*; None if it is produced while it is sent."""
    body = response.response
    if isinstance(body, DataBody):
        return body.data[body.begin : body.end]
    if isinstance(body, PartsBody):
        return body.data()
    return None


def encode_headers(response: Any, data: bytes | None) -> list[tuple[bytes, bytes]]:
    """The header fields as they are sent, with Location encoded.

    With *data*, the complete body, Content-Length is added. What HTTP does not allow for the status
    is left out.
    """
    headers: Headers = response.headers
    status = response.status_code
    if 100 <= status < 200 or status in {204, 304}:
        headers = Headers(headers)
        if status == 304:
            remove_entity_headers(headers)
        else:
            headers.remove("Content-Length")
        data = None
    has_length = False
    fields: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        key = name.lower()
        if key == "location" or key == "content-location":
            value = iri_to_uri(value)
        elif key == "content-length":
            has_length = True
        fields.append((key.encode(), value.encode()))
    if data is not None and not has_length and response.automatically_set_content_length:
        fields.append((b"content-length", b"%d" % len(data)))
    return fields
