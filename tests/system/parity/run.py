"""One specification on one side, and the receivers of its signals."""

from collections.abc import Callable
from typing import Any

from tests.system.parity.observe import Journal
from tests.system.parity.sides import Side


class Run:
    """The application, the journal and the names to use; `close` disconnects the receivers."""

    def __init__(self, side: Side, journal: Journal) -> None:
        self.side = side
        self.web = side.web
        self.journal = journal
        self.app: Any = None
        self.connections: list[tuple[Any, Callable[..., Any]]] = []

    def connect(self, signal: str, function: Callable[..., Any]) -> None:
        self.web.signal[signal].connect(function, sender=self.app, weak=False)
        self.connections.append((self.web.signal[signal], function))

    def close(self) -> None:
        for signal, function in self.connections:
            signal.disconnect(function)  # of one sender only, it would stay in `receivers`

    def count(self) -> int | None:
        """How many functions were called within this application context, this one included."""
        if not self.web.has_app_context():
            return None
        count: int = self.web.g.get("count", 0) + 1
        self.web.g.count = count
        return count
