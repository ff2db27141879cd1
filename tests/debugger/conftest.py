from collections.abc import Iterator

import pytest
from jinja2 import Environment

from quartapp import breadcrumbs
from tests.debugger.site import HTML, Site, make_site


@pytest.fixture(autouse=True)
def _nothing_stays_installed() -> Iterator[None]:
    compile = Environment.compile
    yield
    breadcrumbs.uninstall()
    Environment.compile = compile  # type: ignore[method-assign]


@pytest.fixture
def site() -> Site:
    return make_site()


@pytest.fixture
async def failed(site: Site) -> Site:
    """The site after one failed request, unlocked."""
    await site.request("POST", "/fail", headers=HTML)
    await site.unlock()
    return site
