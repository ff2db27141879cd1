"""Files as answers: Werkzeug decides what is sent, in one hop to a thread.

So everything of a file's answer is Flask's but the Date, which an ASGI server writes, and
X-Sendfile, which needs a server that replaces the body.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import IO, Any

from quart import current_app, request
from quart.wrappers import Response as QuartResponse
from werkzeug import utils
from werkzeug.wrappers import Response as WSGIResponse
from werkzeug.wsgi import FileWrapper

from quartapp.flasklike.concurrency import in_thread
from quartapp.flasklike.wrappers.response import Response, is_bodiless

READ_AT_ONCE = 256 * 1024
"""Bytes of the largest answer that is read in the same hop; a larger one is streamed."""

_CHUNK = 64 * 1024

_CONDITIONS = {
    name: f"HTTP_{name.upper().replace('-', '_')}"
    for name in ("Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since")
}

Path = os.PathLike[str] | str


async def send_file(
    path_or_file: Path | IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | int | float | None = None,
    max_age: int | Callable[[str | None], int | None] | None = None,
) -> QuartResponse:
    """A file, or what a binary file object holds, as `flask.send_file` answers it.

    A relative path starts at the application's folder. The path is trusted: what a client had a
    say in belongs to `send_from_directory`. The file is closed when the answer was sent or given
    up. Raises RequestedRangeNotSatisfiable (416), and OSError where there is no such file.
    """
    return await answered(
        utils.send_file,
        path_or_file,
        mimetype=mimetype,
        as_attachment=as_attachment,
        download_name=download_name,
        conditional=conditional,
        etag=etag,
        last_modified=last_modified,
        max_age=max_age,
    )


async def send_from_directory(directory: Path, path: Path, **kwargs: Any) -> QuartResponse:
    """A file below *directory*, as `flask.send_from_directory`; takes what `send_file` takes.

    Raises NotFound for what is outside, is missing, or is no regular file.
    """
    return await answered(utils.send_from_directory, directory, path, **kwargs)


async def answered(send: Callable[..., WSGIResponse], *args: Any, **kwargs: Any) -> QuartResponse:
    """The answer that *send*, one of Werkzeug's functions, makes in a thread."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy costs each use
    if kwargs.get("max_age") is None:
        kwargs["max_age"] = app.get_send_file_max_age
    kwargs["_root_path"] = app.root_path
    decided, body = await _decided(send, args, conditions(), kwargs)
    decided.headers.remove("Date")  # servers write it, and would do so twice
    response: QuartResponse = app.response_class(body, decided.status_code, decided.headers)
    if not isinstance(body, bytes) and isinstance(response, Response):
        response.call_on_close(decided.close)
    return response


def conditions() -> dict[str, Any]:
    """What Werkzeug looks at of a request to answer with 206, 304, 412 or 416, as it wants it."""
    environ: dict[str, Any] = {"REQUEST_METHOD": request.method, "wsgi.file_wrapper": _Chunks}
    for name, value in request.headers:
        if (key := _CONDITIONS.get(name)) is not None:
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


@in_thread
def _decided(
    send: Callable[..., WSGIResponse],
    args: tuple[Any, ...],
    environ: dict[str, Any],
    kwargs: dict[str, Any],
) -> tuple[WSGIResponse, bytes | Iterator[bytes]]:
    """Werkzeug's answer, and its body: read, where it is small or is not sent at all."""
    decided = send(*args, environ=environ, **kwargs)
    length = decided.headers.get("Content-Length", type=int)
    if is_bodiless(environ["REQUEST_METHOD"], decided.status_code):
        decided.close()
        return decided, iter(())  # not b"", of which the length would be known
    parts = _up_to(length, decided.iter_encoded())
    if length is None or length > READ_AT_ONCE:
        return decided, parts
    try:
        return decided, b"".join(parts)
    finally:
        decided.close()


class _Chunks(FileWrapper):
    """A file in parts that are worth a hop each."""

    def __init__(self, file: IO[bytes], _buffer_size: int) -> None:
        super().__init__(file, _CHUNK)


def _up_to(length: int | None, parts: Iterable[bytes]) -> Iterator[bytes]:
    """No more than was announced: a file may grow while it is sent."""
    for part in parts:
        if length is None:
            yield part
            continue
        yield part[:length]
        length -= len(part)
        if length <= 0:
            return
