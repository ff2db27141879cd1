"""Avatars, drawn here so that no third party learns who looks at whose page."""

from functools import lru_cache
from hashlib import sha256

from quartapp.database.types import MAX_ID
from quartapp.flasklike import Blueprint, Response
from quartapp.microblog.exceptions import NotFoundError

blueprint = Blueprint("avatars", __name__)

_FOREVER = "public, max-age=31536000, immutable"


@blueprint.get("/avatar/<int:user_id>.svg")
async def avatar(user_id: int) -> Response:
    """The picture for an id. It never changes, and needs no person with that id."""
    if not 0 < user_id <= MAX_ID:
        raise NotFoundError("There is no such avatar.")
    return Response(
        draw(user_id), content_type="image/svg+xml", headers={"Cache-Control": _FOREVER}
    )


@lru_cache(maxsize=4096)
def draw(user_id: int) -> str:
    """An SVG of five by five squares, symmetric to its middle column."""
    digest = sha256(f"avatar {user_id}".encode()).digest()
    hue = int.from_bytes(digest[:2], "big") % 360
    squares = []
    for place in range(15):
        column, row = divmod(place, 5)
        if digest[2 + place] & 1:
            squares += [f"M{x} {row}h1v1h-1z" for x in {column, 4 - column}]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 7 7" shape-rendering="crispEdges">'
        f'<path fill="hsl({hue} 45% 88%)" d="M-1-1h7v7h-7z"/>'
        f'<path fill="hsl({hue} 55% 42%)" d="{"".join(sorted(squares))}"/></svg>'
    )
