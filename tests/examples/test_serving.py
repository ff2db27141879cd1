"""docs/examples/serving, from the wheel."""

from collections.abc import Callable
from urllib.request import urlopen

import pytest

from quartapp.testing import LiveServer
from tests.examples.conftest import Example, plain_environment


@pytest.mark.slow
def test_two_workers_serve_until_they_are_stopped(example: Callable[[str], Example]) -> None:
    here = example("serving")
    environment = plain_environment(here.wheel) | {"QUART_PORT": "0", "QUART_WORKERS": "2"}
    served = LiveServer(environment, ["app.py"], cwd=here.folder, python=here.wheel.python)
    with served as server, urlopen(server.url) as response:
        assert response.read() == b"Hello."
    assert served.process.returncode == 0
