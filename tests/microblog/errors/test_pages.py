"""The pages of errors are the microblog's own: they greet the person who is logged in."""

import re

import pytest

from quartapp.errors.texts import describe
from quartapp.flasklike import App
from quartapp.microblog.testing import LogIn
from tests.errors.test_pages import NAMED, OTHERS, fail_with


@pytest.mark.parametrize("status", [*NAMED, *OTHERS])
async def test_every_error_has_a_page_that_greets_the_person(
    app: App, log_in: LogIn, status: int
) -> None:
    fail_with(app, status)
    client = await log_in("susan")
    response = await client.get(f"/fail/{status}", headers={"Accept": "text/html"})
    page = await response.get_data(as_text=True)
    assert response.status_code == status
    assert response.mimetype == "text/html"
    assert "susan" in re.findall(r"<nav.*?</nav>", page, re.DOTALL)[0]
    assert describe(status).title.replace("'", "&#39;") in page
