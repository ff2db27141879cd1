"""A time that a test moves."""

from collections.abc import Callable
from datetime import datetime, timedelta


class Clock:
    """A clock that only moves when a test moves it; called, it returns its time.

    An application sees it where it takes the time from: hand it to what has a parameter for that,
    or replace a function with `replace`.
    """

    def __init__(self, now: datetime, setattr: Callable[[str, object], None] | None = None) -> None:
        self.now = now
        self._setattr = setattr

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        """Move forward by `timedelta(**duration)`."""
        self.now += timedelta(**duration)

    def replace(self, *names: str) -> None:
        """Replace functions without parameters until the end of the test: "shop.models.utc_now".

        Name it where it is looked up: in the module that imported it.
        """
        assert self._setattr is not None, "the fixture `clock` has this method"
        for name in names:
            self._setattr(name, self)
