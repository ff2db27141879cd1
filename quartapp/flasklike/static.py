"""Files as responses: `send_file`, and the static folders of applications and blueprints.

Werkzeug decides what is sent, in one hop to a thread. Everything in the response is therefore
Flask's, except for Date, which an ASGI server writes, and X-Sendfile, which needs a server that
replaces the body.

Small static files that are in use stay in memory. Each request asks the file system whether the
file is still the same, so an edited file is served at once.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, time, time_ns
from typing import IO, Any

from quart import current_app, request
from quart.wrappers import Response as QuartResponse
from quart.wrappers.response import DataBody
from werkzeug import utils
from werkzeug.datastructures import Headers
from werkzeug.http import is_resource_modified
from werkzeug.security import safe_join
from werkzeug.wrappers import Response as WSGIResponse
from werkzeug.wsgi import FileWrapper

from quartapp.flasklike._upstream import running_loop
from quartapp.flasklike.concurrency.awaiting import can_wait
from quartapp.flasklike.concurrency.threads import also_sync, in_thread
from quartapp.flasklike.wrappers.response import Response, is_bodiless

READ_AT_ONCE = 256 * 1024
"""Bytes of the largest body that is read in the same hop. A larger one is streamed."""

LARGEST_CACHED = 64 * 1024
"""Bytes of the largest file that a static folder keeps in memory."""

MOST_CACHED = 4 * 1024 * 1024
"""Bytes of all the files that a static folder keeps in memory."""

_CHUNK = 64 * 1024

_RECENT_USE = 10.0
"""Seconds after its last use during which a file's status is asked for on the event loop. The
kernel still has it in memory, and answers in a microsecond."""

# A file that changes twice within one tick of the file system's clock has the same times after
# both changes.
_TICK_NS = 2_000_000_000

_CONDITIONS = {
    name: f"HTTP_{name.upper().replace('-', '_')}"
    for name in ("Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since")
}
_NOT_FROM_CACHE = {"HTTP_RANGE", "HTTP_IF_MATCH"}
_REVALIDATING = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"}

Path = os.PathLike[str] | str
Stamp = tuple[int, int, int, int]
Key = tuple[str, str, int | None]


@also_sync
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
    """A file, or the content of a binary file object, as `flask.send_file` sends it.

    A relative path starts at the application's folder. The path is trusted: one that a client has
    influenced belongs to `send_from_directory`. The file is closed when the response was sent, and
    also when it will not be sent because the request was cancelled. Raises
    RequestedRangeNotSatisfiable (416), and OSError if there is no such file.
    """
    return await make_file_response(
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


@also_sync
async def send_from_directory(directory: Path, path: Path, **kwargs: Any) -> QuartResponse:
    """A file below *directory*, as `flask.send_from_directory` sends it.

    Takes the arguments of `send_file`. Raises NotFound if the path leads outside, or to no regular
    file.
    """
    return await make_file_response(utils.send_from_directory, directory, path, **kwargs)


async def make_file_response(
    make: Callable[..., WSGIResponse], *args: Any, **kwargs: Any
) -> QuartResponse:
    """The response that *make*, one of Werkzeug's functions, makes in a thread."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy costs each use
    if kwargs.get("max_age") is None:
        kwargs["max_age"] = app.get_send_file_max_age
    kwargs["_root_path"] = app.root_path
    made, body = await _open_in_thread(make, args, file_environ(), kwargs)
    made.headers.remove("Date")  # servers write it, and would do so twice
    response: QuartResponse = app.response_class(body, made.status_code, made.headers)
    if not isinstance(body, bytes) and isinstance(response, Response):
        response.call_on_close(made.close)
    return response


def file_environ() -> dict[str, Any]:
    """The part of the request's WSGI environment that decides on 206, 304, 412 or 416."""
    environ: dict[str, Any] = {"REQUEST_METHOD": request.method, "wsgi.file_wrapper": _Chunks}
    for name, value in request.headers:
        if (key := _CONDITIONS.get(name)) is not None:
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _open(
    make: Callable[..., WSGIResponse],
    args: tuple[Any, ...],
    environ: dict[str, Any],
    kwargs: dict[str, Any],
) -> tuple[WSGIResponse, bytes | Iterator[bytes]]:
    """Werkzeug's response and its body. A small body is read, and one that is not sent dropped."""
    made = make(*args, environ=environ, **kwargs)
    length = made.headers.get("Content-Length", type=int)
    if is_bodiless(environ["REQUEST_METHOD"], made.status_code):
        made.close()
        return made, iter(())  # b"" would have a length, and so a Content-Length
    parts = _at_most(length, made.iter_encoded())
    if length is None or length > READ_AT_ONCE:
        return made, parts
    try:
        return made, b"".join(parts)
    finally:
        made.close()


_open_in_thread = in_thread(_open, discard=lambda opened: opened[0].close())


class _Chunks(FileWrapper):
    """A file in parts that are large enough for a hop each."""

    def __init__(self, file: IO[bytes], _buffer_size: int) -> None:
        super().__init__(file, _CHUNK)


def _at_most(length: int | None, parts: Iterable[bytes]) -> Iterator[bytes]:
    """No more than was announced: a file may grow while it is sent."""
    for part in parts:
        if length is None:
            yield part
            continue
        yield part[:length]
        length -= len(part)
        if length <= 0:
            return


@dataclass(slots=True)
class _CachedFile:
    path: str
    stamp: Stamp
    headers: list[tuple[str, str]]
    data: bytes
    used: float


class FileCache:
    """The small files of one static folder, up to `MOST_CACHED` bytes."""

    def __init__(self) -> None:
        self.files: dict[Key, _CachedFile] = {}
        self.size = 0

    def find(self, key: Key) -> _CachedFile | None:
        """The file with this key, None if it has changed or was not used recently."""
        file = self.files.get(key)
        if file is None:
            return None
        now = monotonic()
        try:
            if now - file.used <= _RECENT_USE and _stamp(file.path) == file.stamp:
                file.used = now
                return file
        except OSError:
            pass  # it is gone
        self._drop(key)
        return None

    def store(self, key: Key, file: _CachedFile) -> None:
        """Store *file*, and drop those that were stored first if all together are too large."""
        self._drop(key)
        self.files[key] = file
        self.size += len(file.data)
        while self.size > MOST_CACHED:
            self._drop(next(iter(self.files)))

    def _drop(self, key: Key) -> None:
        if (file := self.files.pop(key, None)) is not None:
            self.size -= len(file.data)


class StaticFiles:
    """The view of the endpoint `static`, for applications and blueprints."""

    has_static_folder: bool
    root_path: str
    static_folder: str | None
    get_send_file_max_age: Callable[[str | None], int | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._static_cache = FileCache()
        super().__init__(*args, **kwargs)

    def open_resource(self, path: Path, mode: str = "rb", encoding: str | None = None) -> Any:
        """A file below the folder of the application or blueprint, to be read.

        Flask's to a synchronous function, Quart's, to be awaited, to asynchronous code.
        """
        if running_loop() is not None and not can_wait():
            opening: Any = super()  # of what this is mixed into
            return opening.open_resource(path, mode)
        if mode not in {"r", "rt", "rb"}:
            raise ValueError("Resources can only be opened for reading.")
        whole = os.path.join(self.root_path, path)
        return open(whole, mode, encoding=None if mode == "rb" else encoding or "utf-8")

    @also_sync
    async def send_static_file(self, filename: str) -> QuartResponse:
        """A file of the static folder, as Flask sends it. Raises RuntimeError without a folder."""
        if not self.has_static_folder or self.static_folder is None:
            raise RuntimeError("'static_folder' must be set to serve static_files.")
        max_age = self.get_send_file_max_age(filename)
        environ = file_environ()
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"} or environ.keys() & _NOT_FROM_CACHE:
            return await send_from_directory(self.static_folder, filename, max_age=max_age)
        key = (self.static_folder, filename, max_age)
        if (file := self._static_cache.find(key)) is not None:
            return _respond_from_cache(file, environ, max_age)
        found: list[tuple[str, Stamp]] = []

        def make(directory: str, path: str, **options: Any) -> WSGIResponse:
            # Before the file is read: a change from now on changes the stamp.
            if (whole := safe_join(directory, path)) is not None and os.path.isfile(whole):
                found.append((whole, _stamp(whole)))
            return utils.send_from_directory(directory, path, **options)

        response = await make_file_response(make, self.static_folder, filename, max_age=max_age)
        body: Any = response.response
        if found and _is_cacheable(response.status_code, body, found[0][1]):
            headers = list(response.headers)
            self._static_cache.store(key, _CachedFile(*found[0], headers, body.data, monotonic()))
        return response


def _is_cacheable(status: int, body: Any, stamp: Stamp) -> bool:
    return (
        status == 200
        and request.method != "HEAD"
        and isinstance(body, DataBody)
        and len(body.data) <= LARGEST_CACHED
        and time_ns() - max(stamp[2:]) >= _TICK_NS
    )


def _respond_from_cache(
    file: _CachedFile, environ: dict[str, Any], max_age: int | None
) -> QuartResponse:
    headers = Headers()
    headers._list = file.headers.copy()  # `Headers(...)` would check each field again
    response: QuartResponse = current_app.response_class(file.data, 200, headers)
    if max_age is not None:
        response.expires = int(time() + max_age)  # type: ignore[assignment]  # as Werkzeug does
    if environ.keys() & _REVALIDATING and not is_resource_modified(
        environ, response.headers["ETag"], last_modified=response.headers["Last-Modified"]
    ):
        response.status_code = 304
    return response


def _stamp(path: str) -> Stamp:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
