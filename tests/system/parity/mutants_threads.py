"""Mutants: plain functions in the thread of their request.

What generated specifications show is in the table of all mutants. `VIEW_FILE_MUTANTS` are seen by
the file of plain views, which uses sqlite3.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet
from quart.datastructures import FileStorage

from quartapp.flasklike import App, Request
from quartapp.flasklike.asgi.http import HTTPConnection
from quartapp.flasklike.concurrency.awaiting import Bridge, local
from quartapp.flasklike.concurrency.threads import in_thread
from quartapp.flasklike.wrappers.formparser import FormDataParser
from tests.system.parity.mutants import mutant

VIEW_FILE_MUTANTS: dict[str, type[App]] = {}


def seen_by_views(rule: str) -> Callable[[type[App]], type[App]]:
    def enter(cls: type[App]) -> type[App]:
        VIEW_FILE_MUTANTS[rule] = cls
        return cls

    return enter


def with_bridge(
    change: Callable[[Bridge | None], Bridge | None],
    func: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    bridge = local.bridge
    local.bridge = change(bridge)
    try:
        return func(*args, **kwargs)
    finally:
        local.bridge = bridge


class Overwriting:
    """Raises errors as if they had occurred in the plain function."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        failure = None
        try:
            return self.inner.wait(awaitable)
        except BaseException as error:  # noqa: BLE001  # raised below
            failure = error
        raise failure


def without_active_error(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    own = greenlet(partial(func, *args, **kwargs))  # it has its own errors, but no contextvars
    own.gr_context = getcurrent().gr_context
    return own.switch()


@mutant("a sync function sees the error that is being handled")
class NoActiveErrorInThreads(App):
    def sync_to_async(self, func: Callable[..., Any]) -> Any:
        return in_thread(partial(without_active_error, func))


@mutant("an error keeps its context where a plain function waits")
class LosesContextOfErrors(App):
    def sync_to_async(self, func: Callable[..., Any]) -> Any:
        return in_thread(partial(with_bridge, Overwriting, func))


class NoOwner(HTTPConnection):
    def own_thread_of(self, task: asyncio.Task[Any]) -> None:
        pass


@seen_by_views("the plain functions of a request share a thread")
class ThreadForEachFunction(App):
    asgi_http_class = NoOwner


@seen_by_views("plain functions can wait")
class CannotWait(App):
    def sync_to_async(self, func: Callable[..., Any]) -> Any:
        return in_thread(partial(with_bridge, lambda bridge: None, func))


@seen_by_views("teardown functions run in the thread of the request")
class TeardownInAnotherTask(App):
    def do_teardown_appcontext(self, exc: BaseException | None) -> Any:
        async def tear_down() -> None:
            await super(TeardownInAnotherTask, self).do_teardown_appcontext(exc)

        return asyncio.create_task(tear_down())


class StockUploads(FormDataParser):
    file_storage_class = FileStorage  # type: ignore[assignment]  # the mutation


class StockUploadsRequest(Request):
    form_data_parser_class = StockUploads


@seen_by_views("a plain function saves uploads")
class SavesNothing(App):
    request_class = StockUploadsRequest


@seen_by_views("decorators call views of both kinds")
class EnsuresAsync(App):
    def ensure_sync(self, func: Callable[..., Any]) -> Any:
        return self.ensure_async(func)
