"""Run one specification on both sides and say where they differ."""

import asyncio
import contextlib
import difflib
import inspect
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.system.parity.build import attempt, build
from tests.system.parity.observe import LOGGER, Journal, JournalHandler, describe_error
from tests.system.parity.reading import AWAITED_READS
from tests.system.parity.run import Run
from tests.system.parity.sides import FLASK, FLASKLIKE, Body, Side
from tests.system.parity.specification import Spec

OBSERVED_LOGGERS = (LOGGER, "asyncio")


@dataclass(frozen=True)
class Comparison:
    oracle: list[Any]
    subject: list[Any]
    marks: Counter[str]

    @property
    def differs(self) -> bool:
        return self.oracle != self.subject

    def report(self) -> str:
        """`-` for events that only the oracle had, `+` for what only the subject had."""
        oracle = [repr(event) for event in self.oracle]
        subject = [repr(event) for event in self.subject]
        return "\n".join(list(difflib.unified_diff(oracle, subject, n=5, lineterm=""))[2:])


async def compare(spec: Spec, oracle: Side = FLASK, subject: Side = FLASKLIKE) -> Comparison:
    """Each run has its own task, so that no context variable leaks from one into the other."""
    expected = await asyncio.create_task(execute(spec, oracle))
    found = await asyncio.create_task(execute(spec, subject))
    return Comparison(expected.events, found.events, expected.marks)


async def execute(spec: Spec, side: Side) -> Journal:
    journal = Journal()
    run = Run(side, journal)
    with records_in(journal):
        try:
            build(spec, run)
            await converse(spec, run)
        finally:
            run.close()
    return journal


@contextlib.contextmanager
def records_in(journal: Journal) -> Iterator[None]:
    handler = JournalHandler(journal)
    loggers = [logging.getLogger(name) for name in OBSERVED_LOGGERS]
    for logger in loggers:
        logger.setLevel(logging.NOTSET)  # frameworks set it in debug mode and do not reset it
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
            logger.setLevel(logging.NOTSET)


async def converse(spec: Spec, run: Run) -> None:
    # The clients differ in how they keep cookies if a request has a Host or a Cookie header.
    given = {name for request in spec.requests for name, _ in request.headers}
    client = run.app.test_client(use_cookies=not given & {"Cookie", "Host"})
    tasks = asyncio.all_tasks()
    if spec.preserve:
        await run.side.enter(client)
    for number, request in enumerate(spec.requests):
        run.journal.note("request", number, request.method, request.path)
        answer = await run.side.open(client, request)
        run.journal.note("answer", *answer)
        run.journal.mark(f"status {answer[0]}")
        if spec.preserve and request.afterwards and answer[0] != "raised":
            await read_afterwards(request.afterwards, run)
        # The clients differ in which contexts they keep after raising an error.
        if spec.preserve and answer[0] == "raised":
            run.journal.closed = True
    if spec.preserve:
        try:
            await run.side.leave(client)
        except Exception as error:  # noqa: BLE001  # a teardown function may fail
            run.journal.note("leaving", describe_error(error))
    await asyncio.sleep(0)
    run.journal.note("left behind", len(asyncio.all_tasks() - tasks))
    if spec.late:
        register_late(spec.late, run)


async def read_afterwards(what: str, run: Run) -> None:
    """Read of a request that has ended, as tests do in the client's block."""

    def body() -> Body:
        return (yield from AWAITED_READS[what](run))

    run.journal.mark(f"afterwards {what}")
    try:
        found = run.side.function(body, sync=False)()
        if inspect.isawaitable(found):
            found = await found
    except Exception as error:  # noqa: BLE001  # it is observed
        found = describe_error(error)
    run.journal.note("afterwards", what, found)


def register_late(late: str, run: Run) -> None:
    """Call a setup method late: it raises after the first request."""
    actions: dict[str, tuple[Any, ...]] = {
        "errorhandler": (run.app.register_error_handler, 404, str),
        "route": (run.app.add_url_rule, "/late", "late", str),
        "before_request": (run.app.before_request, str),
        "teardown_appcontext": (run.app.teardown_appcontext, str),
        "blueprint": (run.app.register_blueprint, run.web.Blueprint("late", __name__)),
    }
    attempt(run, f"late {late}", *actions[late])
