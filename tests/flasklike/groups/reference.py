"""The rules of docs/groups.md a second time, written from that page, for comparison.

It is recursive, slow and short. Numbers in comments are those of the rules.
"""

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import HTTPException

RANKS = ("client", "application", "server", "caught", "unhandled")


def flat(error: BaseException) -> list[BaseException]:
    """Everything that is in a group and is no group."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [inner for member in error.exceptions for inner in flat(member)]


class Reference:
    """`handlers` are (scope, class), `scopes` the nearest first; `traps` says what is trapped."""

    def __init__(
        self, handlers: set[tuple[str, type]], scopes: list[str], traps: Callable[[Any], bool]
    ) -> None:
        self.handlers = handlers
        self.scopes = scopes
        self.traps = traps

    def handler(self, error: BaseException) -> tuple[str, type] | None:
        kind = ExceptionGroup if type(error) is BaseExceptionGroup else type(error)  # 2
        code = getattr(error, "code", None) if isinstance(error, HTTPException) else None
        for by in (code, None) if code is not None else (None,):  # first by code, then by class
            for scope in self.scopes:
                for cls in kind.__mro__:
                    if (scope, cls) in self.handlers and getattr(cls, "code", None) == by:
                        return scope, cls
        return None

    def leaves(self, error: BaseException) -> list[BaseException]:
        if all(isinstance(each, CancelledError) for each in flat(error)):  # 2
            return []
        if not isinstance(error, BaseExceptionGroup) or self.rank(error) in RANKS[:3]:  # 3
            return [error]
        found = [leaf for member in error.exceptions for leaf in self.leaves(member)]
        return [one for n, one in enumerate(found) if all(one is not each for each in found[:n])]

    def rank(self, error: BaseException) -> str:  # 5
        if isinstance(error, HTTPException) and not self.traps(error):
            status = error.response.status_code if error.response is not None else error.code
            return "server" if status is not None and status >= 500 else "client"
        key = self.handler(error)
        if key is None:
            return "unhandled"
        return "caught" if key[1] is Exception else "application"

    def outcome(self, group: BaseExceptionGroup[Any]) -> tuple[str, list[BaseException]]:
        """What happens: the word, then what is answered and what is logged besides it."""
        if not all(isinstance(each, (Exception, CancelledError)) for each in flat(group)):
            return "exit", []  # 1
        leaves = self.leaves(group)
        if not leaves:
            return "cancelled", []  # 2
        highest = max((self.rank(leaf) for leaf in leaves), key=RANKS.index)
        answered = [leaf for leaf in leaves if self.rank(leaf) == highest]  # 6
        if highest in ("caught", "unhandled"):
            return highest, []  # 8, 9
        logged = answered if highest == "server" and len(answered) > 1 else []  # 10
        return "leaf", [answered[0], *logged]  # 7
