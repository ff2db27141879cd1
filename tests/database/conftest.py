"""Applications of somebody else, which have a `Database`: on plain Quart and on App."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from quart import Quart

from quartapp.flasklike import App

MakeApp: TypeAlias = Callable[..., Quart]


@pytest.fixture(params=[Quart, App])
def make_app(request: pytest.FixtureRequest, tmp_path: Path) -> MakeApp:
    """Makes an application; keywords are its configuration."""

    def make(name: str = "shop", **config: Any) -> Quart:
        app: Quart = request.param(
            name, root_path=str(tmp_path), instance_path=str(tmp_path / name / "instance")
        )
        app.config.from_mapping(config)
        return app

    return make
