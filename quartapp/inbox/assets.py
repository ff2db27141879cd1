"""The stylesheet and scripts of the inbox, which it serves itself."""

from functools import cache
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

from quart import Response
from werkzeug.exceptions import NotFound

from quartapp.inbox.site import current_site

_FOLDER = Path(__file__).parent / "static"


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Contents and digest of each file, by its name."""
    found = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.is_file()}
    return {name: (body, sha256(body).hexdigest()[:12]) for name, body in found.items()}


def asset_url(name: str) -> str:
    """The address of a file, which changes with its contents."""
    return current_site().url("static", name=name, v=_files()[name][1])


async def static(name: str) -> Response:
    if name not in _files():
        raise NotFound
    kind = guess_type(name)[0] or "application/octet-stream"
    response = Response(_files()[name][0], content_type=f"{kind}; charset=utf-8")
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response
