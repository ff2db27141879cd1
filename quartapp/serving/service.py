"""What a process serves, and what a reload changes of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from quartapp.serving.settings import ServingSettings
from quartapp.settings import ConfigurationError


@dataclass(frozen=True, slots=True)
class Service:
    """What a process serves. It is sent to the workers, so `make` must be picklable.

    `make` creates the application in the process that serves it. `use_uvloop` uses uvloop if it is
    installed. `settings` are those in effect. `configured` is what the application said of them in
    its `app.config` when it started, and None before the first start. `is_activated` says that the
    socket is the supervisor's, so that somebody will serve on it after this process.
    """

    make: Callable[[], Any]
    use_uvloop: bool = False
    settings: ServingSettings = field(default_factory=ServingSettings)
    configured: ServingSettings | None = None
    is_activated: bool = False

    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """The factory of the event loop; None means asyncio's."""
        if not self.use_uvloop:
            return None
        try:
            import uvloop
        except ImportError:
            return None
        return uvloop.new_event_loop

    def configured_by(self, app: Any) -> Self:
        """The service with what has changed in the application's config since the last start.

        Only changes count, so that what the program passed besides the config remains. Raises
        ConfigurationError, but not at the first start: keys of an application that does not use
        these settings may mean something else.
        """
        config = getattr(app, "config", {})
        names = {name: name.upper() for name in ServingSettings.model_fields}
        try:
            now = ServingSettings.from_config({key: config.get(key) for key in names.values()})
        except ConfigurationError:
            if self.configured is None:
                return self
            raise
        if self.configured is None:
            return replace(self, configured=now)
        before = self.configured
        changes = {
            name: getattr(now, name)
            for name in names
            if getattr(now, name) != getattr(before, name)
        }
        return replace(self, settings=self.settings.model_copy(update=changes), configured=now)
