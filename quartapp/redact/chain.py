"""The exceptions that led to an exception, and the calls of each: bounded walks."""

from collections.abc import Iterator
from types import TracebackType

EXCEPTIONS = 5
FRAMES = 60
_OUTER = 20
_LONGEST_WALK = 5000


def chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """The exception and up to four more with their relation to it, as Python would show them.

    "cause" or "context" follows its exception; members of a group ("member") follow the group.
    """
    found: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    waiting = [(error, "")]
    while waiting and len(found) < EXCEPTIONS:
        exception, relation = waiting.pop()
        if id(exception) in seen:
            continue
        seen.add(id(exception))
        found.append((exception, relation))
        waiting.extend(_before(exception))
        if is_group(exception):
            waiting.extend((member, "member") for member in _members(exception))
    return found


def calls(traceback: TracebackType | None) -> list[TracebackType]:
    """The calls of a traceback, outermost first."""
    found: list[TracebackType] = []
    while traceback is not None and len(found) < _LONGEST_WALK:  # the recursion limit can be raised
        found.append(traceback)
        traceback = traceback.tb_next
    return found


def shortened(items: list[TracebackType]) -> tuple[list[TracebackType], int]:
    """At most `FRAMES` of the calls, and how many were left out of their middle."""
    left_out = len(items) - FRAMES
    if left_out <= 0:
        return items, 0
    return items[:_OUTER] + items[_OUTER + left_out :], left_out


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group that are no groups, each once; without a group, *error* itself."""
    waiting, seen = [error], set()
    while waiting:
        exception = waiting.pop()
        if id(exception) in seen:
            continue
        seen.add(id(exception))
        if is_group(exception):
            waiting.extend(reversed(_all_members(exception)))
        else:
            yield exception


def is_group(error: BaseException) -> bool:
    """Whether it is an exception group; asks no attribute of it."""
    return issubclass(type(error), BaseExceptionGroup)


def _before(exception: BaseException) -> Iterator[tuple[BaseException, str]]:
    if exception.__cause__ is not None:
        yield exception.__cause__, "cause"
    elif exception.__context__ is not None and not exception.__suppress_context__:
        yield exception.__context__, "context"


def _members(group: BaseException) -> list[BaseException]:
    return list(_all_members(group)[EXCEPTIONS - 1 :: -1])


def _all_members(group: BaseException) -> tuple[BaseException, ...]:
    # not `group.exceptions`: a subclass may make it a property, which is code
    members: tuple[BaseException, ...] = BaseExceptionGroup.exceptions.__get__(group)
    return members or ()
