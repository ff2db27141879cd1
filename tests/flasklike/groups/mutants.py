"""The rules of docs/groups.md, each broken on purpose; generated groups must show each."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException

from quartapp.flasklike import dispatch, groups
from quartapp.flasklike.concurrency import cancellation
from tests.flasklike.groups.reference import flat

Patch = pytest.MonkeyPatch
MUTANTS: dict[str, Callable[[Patch], None]] = {}

choose, rank, leaves = groups.choose, groups.rank, groups.leaves


def mutant(rule: str) -> Callable[[Callable[[Patch], None]], None]:
    """Add a mutant to the table, under the rule that it breaks."""

    def enter(break_it: Callable[[Patch], None]) -> None:
        MUTANTS[rule] = break_it

    return enter


def ranks(patch: Patch, changed: Callable[[Any, Any, int], int]) -> None:
    """Change ranks: *changed* gets the application, the error and its rank."""
    patch.setattr(
        groups, "rank", lambda app, error, names: changed(app, error, rank(app, error, names))
    )


@mutant("1: an exit in a group passes")
def _(patch: Patch) -> None:
    def remaining(group: Any) -> Any:
        kept = [each for each in flat(group) if isinstance(each, Exception)]
        return ExceptionGroup("", kept) if kept else None

    patch.setattr(cancellation, "_remaining", remaining)


@mutant("2: cancellations are dropped")
def _(patch: Patch) -> None:
    patch.setattr(cancellation, "without_cancellations", lambda raised: raised)


@mutant("2: a group of cancellations is a cancellation")
def _(patch: Patch) -> None:
    def remaining(group: Any) -> Any:
        return ExceptionGroup("", [RuntimeError()])

    original = cancellation._remaining
    patch.setattr(cancellation, "_remaining", lambda group: original(group) or remaining(group))


@mutant("2: groups without cancellations stay as they are")
def _(patch: Patch) -> None:
    patch.setattr(cancellation, "_remaining", lambda group: group.split(asyncio.CancelledError)[1])


@mutant("3: a group that has a handler is one error")
def _(patch: Patch) -> None:
    ranks(
        patch,
        lambda app, error, found: (
            groups.UNHANDLED
            if isinstance(error, ExceptionGroup) and not isinstance(error, HTTPException)
            else found
        ),
    )


@mutant("3: a group that is an HTTP error is one error")
def _(patch: Patch) -> None:
    ranks(
        patch,
        lambda app, error, found: (
            groups.UNHANDLED
            if isinstance(error, ExceptionGroup) and isinstance(error, HTTPException)
            else found
        ),
    )


@mutant("3: a group that has a handler for Exception only is taken apart")
def _(patch: Patch) -> None:
    ranks(
        patch,
        lambda app, error, found: (
            min(found, groups.APPLICATION) if isinstance(error, ExceptionGroup) else found
        ),
    )


@mutant("4: leaves come in the order of the members, depth first")
def _(patch: Patch) -> None:
    patch.setattr(groups, "leaves", lambda *args: reversed([*leaves(*args)]))


@mutant("4: groups in groups are taken apart")
def _(patch: Patch) -> None:
    patch.setattr(groups, "leaves", lambda app, group, names: iter(group.exceptions))


@mutant("4: an object that occurs twice counts once")
def _(patch: Patch) -> None:
    def each_time(app: Any, error: Any, names: Any) -> Iterator[Any]:
        if isinstance(error, ExceptionGroup) and rank(app, error, names) >= groups.CAUGHT:
            for member in error.exceptions:
                yield from each_time(app, member, names)
        else:
            yield error

    patch.setattr(groups, "leaves", each_time)


@mutant("5: an HTTP error of 500 or more is a server error")
def _(patch: Patch) -> None:
    ranks(patch, lambda app, error, found: groups.CLIENT if found == groups.SERVER else found)


@mutant("5: a client error is below an error of the application")
def _(patch: Patch) -> None:
    ranks(patch, lambda app, error, found: groups.APPLICATION if found == groups.CLIENT else found)


@mutant("5: an error of the application is below a server error")
def _(patch: Patch) -> None:
    ranks(patch, lambda app, error, found: groups.SERVER if found == groups.APPLICATION else found)


@mutant("5: an unhandled error is above one that is handled")
def _(patch: Patch) -> None:
    ranks(patch, lambda app, error, found: groups.CLIENT if found == groups.UNHANDLED else found)


@mutant("5: the status is that of the response")
def _(patch: Patch) -> None:
    def by_code(app: Any, error: Any, found: int) -> int:
        if found not in (groups.CLIENT, groups.SERVER):
            return found
        return groups.SERVER if (error.code or 0) >= 500 else groups.CLIENT

    ranks(patch, by_code)


@mutant("5: a trapped HTTP error is an error like others")
def _(patch: Patch) -> None:
    def untrapped(app: Any, error: Any, found: int) -> int:
        return groups.CLIENT if isinstance(error, HTTPException) else found

    ranks(patch, untrapped)


@mutant("5: a blueprint's handlers come before the application's")
def _(patch: Patch) -> None:
    find = groups._registered_for
    patch.setattr(groups, "_registered_for", lambda app, kind, names: find(app, kind, []))


@mutant("6: the highest rank is answered")
def _(patch: Patch) -> None:
    def first(app: Any, group: Any, names: Any) -> Any:
        found = [*leaves(app, group, names)]
        worst = max(rank(app, each, names) for each in found)
        return choose(app, group, names) if worst >= groups.CAUGHT else (found[0], [])

    patch.setattr(dispatch, "choose", first)


@mutant("6: the first of one rank is answered")
def _(patch: Patch) -> None:
    def last(app: Any, group: Any, names: Any) -> Any:
        found = [*leaves(app, group, names)]
        worst = max(rank(app, each, names) for each in found)
        if worst >= groups.CAUGHT:
            return choose(app, group, names)
        answered = [each for each in found if rank(app, each, names) == worst]
        return answered[-1], choose(app, group, names)[1]

    patch.setattr(dispatch, "choose", last)


def handling(patch: Patch, handle: Callable[[Any, Any, Any], Any]) -> None:
    patch.setattr(dispatch.RequestDispatcher, "_handle_leaf", handle)


@mutant("7: the leaf is the active exception")
def _(patch: Patch) -> None:
    async def handle(app: Any, error: Any, group: Any) -> Any:
        error.__group__ = group
        try:
            return await app.handle_user_exception(error)
        finally:
            del error.__group__

    handling(patch, handle)


def alone(patch: Patch, lowest: int) -> None:
    def leaf(app: Any, group: Any, names: Any) -> Any:
        ranked = [(rank(app, each, names), each) for each in leaves(app, group, names)]
        worst = max(each for each, _ in ranked)
        if worst != lowest:
            return choose(app, group, names)
        return next(each for its, each in ranked if its == worst), []

    patch.setattr(dispatch, "choose", leaf)


@mutant("8: a handler for Exception gets the group")
def _(patch: Patch) -> None:
    alone(patch, groups.CAUGHT)


@mutant("9: an unhandled group stays whole")
def _(patch: Patch) -> None:
    alone(patch, groups.UNHANDLED)


@mutant("10: several server errors are logged")
def _(patch: Patch) -> None:
    patch.setattr(dispatch, "choose", lambda *args: (choose(*args)[0], []))


@mutant("10: the answered one of several server errors is logged too")
def _(patch: Patch) -> None:
    patch.setattr(dispatch, "choose", lambda *args: (choose(*args)[0], choose(*args)[1][1:]))


@mutant("11: __group__ is there while the handler runs")
def _(patch: Patch) -> None:
    async def handle(app: Any, error: Any, group: Any) -> Any:
        try:
            raise error
        except Exception:  # noqa: BLE001
            return await app.handle_user_exception(error)

    handling(patch, handle)


@mutant("11: __group__ is removed afterwards")
def _(patch: Patch) -> None:
    original: Any = dispatch.RequestDispatcher._handle_leaf

    async def handle(app: Any, error: Any, group: Any) -> Any:
        try:
            return await original(app, error, group)
        finally:
            error.__group__ = group

    handling(patch, handle)
