"""How many responses an application sends, to compare errors with. Pure, and only in memory."""

from typing import NamedTuple

_MOST_MINUTES = 1440


class Minute(NamedTuple):
    """The responses of a minute since the epoch, and those of them with a status of 5xx."""

    minute: int
    responses: int
    failures: int


class Traffic:
    """Counts responses. The middleware adds to `responses` and `failures`, in the event loop."""

    __slots__ = ("_waiting", "failures", "responses")

    def __init__(self) -> None:
        self.responses = 0
        self.failures = 0
        self._waiting: dict[int, Minute] = {}

    def note(self, minute: int) -> bool:
        """Count what was added since the last call in this minute; whether `take` has something."""
        if self.responses:
            self.give_back([Minute(minute, self.responses, self.failures)])
            self.responses = self.failures = 0
        return bool(self._waiting)

    def take(self) -> list[Minute]:
        """What was noted and not taken yet, the oldest first."""
        taken = sorted(self._waiting.values())
        self._waiting = {}
        return taken

    def give_back(self, minutes: list[Minute]) -> None:
        """Keep what could not be stored: that of a day, at most."""
        for minute, responses, failures in minutes:
            before = self._waiting.get(minute, Minute(minute, 0, 0))
            self._waiting[minute] = Minute(
                minute, before.responses + responses, before.failures + failures
            )
        for old in sorted(self._waiting)[:-_MOST_MINUTES]:
            del self._waiting[old]
