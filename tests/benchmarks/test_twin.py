"""The version on Flask shows the same pages: only then do its figures mean anything."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.compare import differences, fetch, normal
from benchmarks.databases import admin_address, prepared
from benchmarks.servers import TWIN_BIN, Server

pytestmark = pytest.mark.skipif(
    not (TWIN_BIN / "gunicorn").exists(),
    reason="no environment of the version on Flask: make bench",
)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def database(request: Any) -> Iterator[tuple[str, str]]:
    if request.param == "postgresql" and not admin_address():
        pytest.skip("no postgresql: set QUARTAPP_TEST_POSTGRESQL to a server's address")
    with prepared(request.param, people=40, posts=400) as made:
        yield made


@pytest.fixture(scope="module")
def quartapp(database: tuple[str, str]) -> Iterator[Server]:
    with Server("quartapp-hypercorn", database[0]) as server:
        yield server


@pytest.mark.parametrize("name", ["flask-twin", "flask-tuned"])
def test_the_pages_are_equal(name: str, quartapp: Server, database: tuple[str, str]) -> None:
    url, token = database
    with Server(name, url, threads=4) as twin:
        assert differences(quartapp, twin, token) == []
        status, page = fetch(twin, "/", token)
        assert (status, str(page).count("<article")) == (200, 25)


def test_a_difference_is_found() -> None:
    assert normal('<p>\n a</p><input name="csrf_token" value="1">') == normal(
        '<p>a</p>\n<input name="csrf_token" value="2">'
    )
    assert normal("<p>a</p>") != normal("<p>b</p>")
