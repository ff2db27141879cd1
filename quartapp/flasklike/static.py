"""The static folders of applications and blueprints.

Small files that are asked for again and again stay in memory. Each request asks the file system
whether the file is still the same, so an edited file is seen at once.
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


def _decide(
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


_decided = in_thread(_decide, discard=lambda outcome: outcome[0].close())


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


LARGEST_KEPT = 64 * 1024
"""Bytes of the largest file that is kept in memory."""

MOST_KEPT = 4 * 1024 * 1024
"""Bytes of all the files that one folder keeps in memory."""

_FRESH = 10.0
"""Seconds after its last use in which a file is asked for on the event loop: the kernel has what
there is to know of it in memory, and answers in a microsecond."""

# A file that changes twice within one tick of its clock has the same times after both.
_TICK_NS = 2_000_000_000

_READING = {"GET", "HEAD"}
_UNUSUAL = {"HTTP_RANGE", "HTTP_IF_MATCH"}
_REVALIDATING = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE"}

Stamp = tuple[int, int, int, int]
Key = tuple[str, str, int | None]


@dataclass(slots=True)
class _Kept:
    path: str
    stamp: Stamp
    headers: list[tuple[str, str]]
    data: bytes
    used: float


class StaticFiles:
    """The view of the endpoint `static`, for applications and blueprints."""

    has_static_folder: bool
    static_folder: str | None
    get_send_file_max_age: Callable[[str | None], int | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._kept: dict[Key, _Kept] = {}
        self._kept_bytes = 0
        super().__init__(*args, **kwargs)

    async def send_static_file(self, filename: str) -> QuartResponse:
        """A file of the static folder, as Flask sends it; RuntimeError where there is no folder."""
        if not self.has_static_folder or self.static_folder is None:
            raise RuntimeError("'static_folder' must be set to serve static_files.")
        max_age = self.get_send_file_max_age(filename)
        key = (self.static_folder, filename, max_age)
        environ = conditions()
        if environ["REQUEST_METHOD"] not in _READING or environ.keys() & _UNUSUAL:
            return await send_from_directory(self.static_folder, filename, max_age=max_age)
        if (kept := self._usable(key)) is not None:
            return _again(kept, environ, max_age)
        found: list[tuple[str, Stamp]] = []

        def send(directory: str, path: str, **options: Any) -> WSGIResponse:
            # Before it is read: what changes from now on changes the stamp.
            if (whole := safe_join(directory, path)) is not None and os.path.isfile(whole):
                found.append((whole, _stamp(whole)))
            return utils.send_from_directory(directory, path, **options)

        response = await answered(send, self.static_folder, filename, max_age=max_age)
        self._keep(key, response, *found)
        return response

    def _usable(self, key: Key) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = monotonic()
        try:
            if now - kept.used <= _FRESH and _stamp(kept.path) == kept.stamp:
                kept.used = now
                return kept
        except OSError:
            pass  # it is gone
        self._drop(key)
        return None

    def _keep(self, key: Key, response: QuartResponse, *found: tuple[str, Stamp]) -> None:
        body = response.response
        if response.status_code != 200 or not isinstance(body, DataBody) or not found:
            return
        path, stamp = found[0]
        if request.method == "HEAD" or len(body.data) > LARGEST_KEPT or _is_young(stamp):
            return
        self._drop(key)
        self._kept[key] = _Kept(path, stamp, list(response.headers), body.data, monotonic())
        self._kept_bytes += len(body.data)
        while self._kept_bytes > MOST_KEPT:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._kept_bytes -= len(kept.data)


def _again(kept: _Kept, environ: dict[str, Any], max_age: int | None) -> QuartResponse:
    response: QuartResponse = current_app.response_class(kept.data, 200, Headers(kept.headers))
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


def _is_young(stamp: Stamp) -> bool:
    return time_ns() - max(stamp[2:]) < _TICK_NS
