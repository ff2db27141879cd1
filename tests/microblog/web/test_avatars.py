"""Avatars, which the application draws itself."""

from xml.etree import ElementTree

import pytest

from quartapp.flasklike import App
from quartapp.microblog.testing import LogIn
from quartapp.microblog.web.avatars import draw


def test_an_avatar_is_symmetric_and_always_the_same() -> None:
    pictures = {draw(number) for number in range(1, 200)}
    assert len(pictures) > 190
    for picture in pictures:
        path = ElementTree.fromstring(picture)[1].get("d", "")
        squares = {tuple(map(int, part.split("h")[0].split())) for part in path.split("M") if part}
        assert squares == {(4 - x, y) for x, y in squares}
        assert all(0 <= x < 5 and 0 <= y < 5 for x, y in squares)


@pytest.mark.lenient("errors")  # reporting has no sessions either
async def test_an_avatar_is_kept_for_good_and_asks_no_database(app: App, log_in: LogIn) -> None:
    client = await log_in("susan")
    app.extensions["database"].session = None
    response = await client.get("/avatar/7.svg")
    assert response.mimetype == "image/svg+xml"
    assert "immutable" in response.headers["Cache-Control"]
    assert "Cookie" not in response.headers.get("Vary", "")
    assert "Set-Cookie" not in response.headers
    assert await response.get_data(as_text=True) == draw(7)
