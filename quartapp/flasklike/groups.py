"""Which error of an exception group is answered. The rules are those of docs/groups.md."""

from asyncio import CancelledError
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug.exceptions import HTTPException

from quartapp.flasklike.concurrency.cancellation import being_cancelled
from quartapp.flasklike.extensions import explain
from quartapp.flasklike.signals import send_signal

if TYPE_CHECKING:
    from quart import Quart

CLIENT, APPLICATION, SERVER, CAUGHT, UNHANDLED = range(5)
"""How bad an error is; the worst of a group is answered."""


def choose(
    app: "Quart", group: Exception, blueprints: list[str]
) -> tuple[Exception, list[Exception]]:
    """The error to handle instead of *group*, or *group* itself; and those to log.

    *blueprints* are the request's, the innermost first.
    """
    ranked = [(rank(app, leaf, blueprints), leaf) for leaf in leaves(app, group, blueprints)]
    worst = max(each for each, _ in ranked)
    if worst >= CAUGHT:
        return group, []
    answered = [leaf for each, leaf in ranked if each == worst]
    return answered[0], answered if worst == SERVER and len(answered) > 1 else []


def leaves(app: "Quart", group: Exception, blueprints: list[str]) -> Iterator[Exception]:
    """The errors of *group* in its order, each object once.

    A group that has a handler, or is an HTTP error, is one error.
    """
    waiting, seen = [group], set()
    while waiting:
        error = waiting.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        if isinstance(error, ExceptionGroup) and rank(app, error, blueprints) >= CAUGHT:
            waiting.extend(reversed(error.exceptions))
        else:
            yield error


def rank(app: "Quart", error: Exception, blueprints: list[str]) -> int:
    """How bad *error* is, by itself."""
    if isinstance(error, HTTPException) and not app.trap_http_exception(error):
        response = getattr(error, "response", None)  # a subclass may not have called __init__
        status = error.code if response is None else response.status_code
        return SERVER if status is not None and status >= 500 else CLIENT
    registered = _registered_for(app, type(error), blueprints)
    if registered is None:
        return UNHANDLED
    return CAUGHT if registered is Exception else APPLICATION


def _registered_for(app: "Quart", kind: type, blueprints: list[str]) -> type | None:
    """The class under which the handler of a class is registered, by Flask's lookup."""
    code = kind.code if issubclass(kind, HTTPException) else None
    for key in (None,) if code is None else (code, None):
        for scope in (*blueprints, None):
            handlers = app.error_handler_spec.get(scope, {}).get(key, {})
            for cls in kind.__mro__:
                if cls in handlers:
                    return cls
    return None


async def tear_down(
    app: "Quart", what: str, functions: Iterable[Any], signal: Any, exc: BaseException | None
) -> None:
    """Call all *functions* with *exc* and send *signal*, whichever fail. Then `raise_all`."""
    errors: list[BaseException] = []
    for function in functions:
        try:
            await app.ensure_async(function)(exc)
        except BaseException as error:
            explain(error)
            errors.append(error)
    try:
        await send_signal(signal, app, exc=exc)
    except BaseException as error:
        errors.append(error)
    if errors:
        raise_all(f"Errors during {what} teardown", errors)


def raise_all(message: str, errors: list[BaseException]) -> NoReturn:
    """Raise the only one of *errors*, or a group of all; *errors* is emptied.

    If the task is being cancelled and a CancelledError is among several, it is raised, and the
    others are its cause.
    """
    others, errors[:] = errors[:], []  # frames that the tracebacks refer to refer to the list
    ending = next((each for each in others if isinstance(each, CancelledError)), None)
    if ending is not None and len(others) > 1 and being_cancelled():
        others = [each for each in others if not isinstance(each, CancelledError)]
        if others:
            ending.__cause__ = _together(message, others)
        others = [ending]
    error = _together(message, others)
    context = error.__context__
    try:
        raise error
    finally:
        if context is not None:  # not what is being handled here
            BaseException.__setattr__(error, "__context__", context)
        del error, others, ending, context  # its traceback holds this frame


def _together(message: str, errors: list[BaseException]) -> BaseException:
    return errors[0] if len(errors) == 1 else BaseExceptionGroup(message, errors)
