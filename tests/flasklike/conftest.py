from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest

from tests.flasklike.servers import NAMES, Running, running

Serve = Callable[[Any], AbstractAsyncContextManager[Running]]


@pytest.fixture(params=NAMES)
def serve(request: pytest.FixtureRequest) -> Serve:
    """Serve an application on a real server: `async with serve(app) as server:`."""
    return partial(running, server=request.param)
