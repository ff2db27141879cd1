"""Streams that keep the contexts of their request."""

from collections.abc import AsyncIterator, Callable, Iterable
from functools import update_wrapper
from typing import Any

from quart.globals import _cv_app, _cv_request

from quartapp.flasklike.concurrency import iterate_in_thread


def stream_with_context(generator_or_function: Any) -> Any:
    """Keep the request's and the application's context while a stream produces its parts.

    Takes a generator, asynchronous or not, and gives an asynchronous one; takes a function
    returning such a generator and gives a function. The contexts are those of the moment, with the
    same `g` and session; between two parts they are not in force. As in Flask the teardown
    functions run when the request ends, before the stream begins, and once more when the stream
    ends, with the error that ended it (GeneratorExit when the client left).

    RuntimeError outside of a request.
    """
    if isinstance(generator_or_function, AsyncIterator):
        parts = generator_or_function
    elif isinstance(generator_or_function, Iterable):
        parts = iterate_in_thread(iter(generator_or_function))
    else:
        return _decorated(generator_or_function)
    request_context = _cv_request.get(None)
    if request_context is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request"
            " context is active, such as in a view function."
        )
    return _stream(_cv_app.get(), request_context, parts)


def _decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    def decorator(*args: Any, **kwargs: Any) -> Any:
        return stream_with_context(function(*args, **kwargs))

    return update_wrapper(decorator, function)


async def _stream(
    app_context: Any, request_context: Any, parts: AsyncIterator[Any]
) -> AsyncIterator[Any]:
    error: BaseException | None = None
    await app_context.push()
    try:
        await request_context.push()
        try:
            async for part in parts:
                request_context.suspend()
                app_context.suspend()
                try:
                    yield part
                finally:
                    app_context.resume()
                    request_context.resume()
        except BaseException as raised:
            error = raised
            raise
        finally:
            try:
                close = getattr(parts, "aclose", None)
                if close is not None:
                    await close()
            finally:
                await request_context.pop(error)
    finally:
        await app_context.pop(error)
