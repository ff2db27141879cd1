import pytest

from tests.debugger.site import HTML, Site, make_site


@pytest.fixture
def site() -> Site:
    return make_site()


@pytest.fixture
async def failed(site: Site) -> Site:
    """The site after one failed request, unlocked."""
    await site.request("POST", "/fail", headers=HTML)
    await site.unlock()
    return site
