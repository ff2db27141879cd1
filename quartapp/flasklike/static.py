"""The static folders of applications and blueprints.

Small files that are asked for again and again stay in memory. Each request asks the file system
whether the file is still the same, so an edited file is seen at once.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time, time_ns
from typing import Any

from quart import current_app, request
from quart.wrappers import Response as QuartResponse
from quart.wrappers.response import DataBody
from werkzeug import utils
from werkzeug.datastructures import Headers
from werkzeug.http import is_resource_modified
from werkzeug.security import safe_join
from werkzeug.wrappers import Response as WSGIResponse

from quartapp.flasklike.files import answered, conditions, send_from_directory

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
