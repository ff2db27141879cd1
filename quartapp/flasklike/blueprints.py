"""Blueprints."""

from typing import Any

import quart

from quartapp.flasklike.cli import AppGroup
from quartapp.flasklike.static import StaticFiles


class Blueprint(StaticFiles, quart.Blueprint):  # type: ignore[misc]  # as `App`
    """A blueprint whose static files are sent, and whose commands run, as in Flask."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cli = AppGroup(self.name)
