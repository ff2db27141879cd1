import pytest

from tests.debugger.site import Site, make_site


@pytest.fixture
def site() -> Site:
    return make_site()
