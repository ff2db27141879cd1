"""`python tests/system/faults/table/served.py` serves the application of tests/microblog/boom.py,
as run.py would, with more routes that fail, and with short delays of mails.

The environment variable WITHOUT names protections that are removed, so that their rows must fail.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from quart import current_app, request
from sqlalchemy import text

from quartapp.errors import deadlines
from quartapp.flasklike import App
from quartapp.flasklike.concurrency import threads
from quartapp.mail import outbox
from quartapp.microblog import serve
from quartapp.microblog.config import Settings
from quartapp.microblog.database import db
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails.outbox import AlertOutbox
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.recorder import Recorder
from tests.microblog import boom

ENDINGS: dict[str, Callable[[], BaseException]] = {
    "exit": partial(SystemExit, 0),
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "group": lambda: BaseExceptionGroup("several", [SystemExit(3), KeyboardInterrupt()]),
}
INITIAL_DELAY = 0.3
SLOW = {
    "sqlite": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000)"
        " SELECT max(i) FROM n"
    ),
    "postgresql": "SELECT pg_sleep(1)",
}
"""Queries that take about a second."""

leaked: list[Any] = []


class HostileError(Exception):
    """What a library may raise: it cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def create(settings: Settings | None = None) -> App:
    app = boom.create(settings)
    app.teardown_request(fail_in_teardown)
    for view in (ping, end, teardown, query, stream, library, held, leak):
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    shorten_mails(app.extensions["reporting"])
    for protection in os.environ.get("WITHOUT", "").split():
        setattr(*WITHOUT[protection])
    return app


def shorten_mails(pipeline: Pipeline) -> None:
    outbox._BACKOFF = (1.0,)  # type: ignore[assignment]  # fewer steps
    rules = pipeline.consumer.rules
    limits = replace(rules.limits, initial_delay=INITIAL_DELAY)
    pipeline.consumer.rules = replace(rules, limits=limits)
    assert pipeline.mailer
    assert isinstance(pipeline.mailer.outbox, AlertOutbox)
    pipeline.mailer.outbox.limits = limits


async def ping() -> str:
    return "pong"


async def end() -> str:
    raise ENDINGS[request.args["kind"]]()


async def teardown() -> str:
    return "fine until its teardown"


async def fail_in_teardown(_: BaseException | None) -> None:
    if request.path == "/teardown":
        raise RuntimeError("in a teardown")


async def query() -> str:
    session = db.session
    await session.execute(text(SLOW[session.get_bind().dialect.name]))
    return "found"


async def stream() -> AsyncIterator[bytes]:
    for _ in range(2000):
        yield bytes(16384)


async def library() -> str:
    """Fail as a library may: while handling an error that cannot be shown."""
    try:
        raise HostileError
    except HostileError:
        await asyncio.gather(asyncio.to_thread(dict[str, str]().__getitem__, "missing"))
    return "never"


async def held() -> dict[str, int]:
    """What this worker holds now, but for this request."""
    pool: Any = current_app.extensions["database"].engine.pool
    return {
        "pid": os.getpid(),
        "tasks": len(asyncio.all_tasks()),
        "connections": pool.checkedout(),
        "idle": len(threads._idle),
    }


async def leak() -> str:
    """Keep tasks, files and memory forever."""
    leaked.extend(asyncio.create_task(asyncio.sleep(3600)) for _ in range(50))
    leaked.extend(open(os.devnull) for _ in range(50))  # noqa: SIM115, ASYNC230 a leak
    return "leaked"


def _owe_nothing(_: object, _group: str) -> None:
    """Instead of `Recorder._owe`."""


def _append_nothing(_: object, _payload: bytes) -> bool:
    return True


def _restore_nothing(_: object) -> None:
    """Instead of `Journal._look_after`."""


async def _count_nothing(_: object) -> int:
    return 0


WITHOUT: dict[str, tuple[Any, str, Any]] = {
    "allocating": (os, "posix_fallocate", lambda handle, _, size: os.truncate(handle, size)),
    "bodies": (deadlines, "MOST_BODIES", 100),
    "counting": (Consumer, "consume", _count_nothing),
    "owing": (Recorder, "_owe", _owe_nothing),
    "recording": (Journal, "append", _append_nothing),
    "restoring": (Journal, "_look_after", _restore_nothing),
    "retries": (outbox, "_BACKOFF", (3600.0,)),
}
"""Protections, and what replaces them."""

if __name__ in {"__main__", "__mp_main__"}:  # worker processes import this module again
    serve.create_app = create  # type: ignore[attr-defined]  # not exported, replaced on purpose

if __name__ == "__main__":
    sys.exit(serve.main())
