"""What all workers of a machine share: the worker that is asked reads it, so nothing is added up.

Each part has a second. What fails or takes longer is missing in this answer.
"""

import asyncio
import os
import platform
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from quart import Quart

from quartapp.metrics import catalogue as all_of
from quartapp.metrics.sources import Value

PATIENCE = 1.0
"""Seconds that a part may take."""

Outboxes = dict[str, Callable[[], Any]]
"""The name of an outbox, and the function that returns its `quartapp.mail.sender.Sender`, or None
where none is sent."""


async def read(app: Quart, outboxes: Outboxes) -> tuple[list[Value], str]:
    """What all parts say, and which ones failed. Never raises."""
    parts: dict[str, Callable[[], AsyncIterator[Value]]] = {
        "build": lambda: _build(app),
        "disk": lambda: _disk(app),
    }
    if "reporting" in app.extensions:
        parts["journal"] = lambda: _journal(app.extensions["reporting"])
    if "database" in app.extensions:
        parts["database"] = lambda: _database(app.extensions["database"])
    for name, find in {**_alerts(app), **outboxes}.items():
        parts[f"outbox {name}"] = lambda name=name, find=find: _outbox(name, find)  # type: ignore[misc]
    results = await asyncio.gather(*(_read(part) for part in parts.values()))
    values: list[Value] = []
    failed: list[str] = []
    for part, (found, error) in zip(parts, results, strict=True):
        values += found
        values.append(Value(all_of.FAILING, bool(error), (part,)))
        if error:
            failed.append(f"{part} ({error})")
    return values, ", ".join(failed)


async def _read(part: Callable[[], AsyncIterator[Value]]) -> tuple[list[Value], str]:
    values: list[Value] = []
    try:
        async with asyncio.timeout(PATIENCE):
            values.extend([value async for value in part()])
    except TimeoutError:
        return values, f"no answer within {PATIENCE:g} s"
    except Exception as error:  # noqa: BLE001 - the other parts are shown nevertheless
        return values, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return values, ""


async def _build(app: Quart) -> AsyncIterator[Value]:
    pipeline = app.extensions.get("reporting")
    release = str(app.config.get("RELEASE") or "")
    if pipeline is not None:
        release = (await asyncio.to_thread(lambda: pipeline.recorder.origin)).release
    server = str(app.config.get("SERVER") or "")
    yield Value(all_of.BUILD, 1, (release, platform.python_version(), server))
    if isinstance(workers := app.config.get("WORKERS"), int):
        yield Value(all_of.CONFIGURED, workers)


async def _disk(app: Quart) -> AsyncIterator[Value]:
    def look() -> os.statvfs_result:
        folder = Path(app.instance_path)
        return os.statvfs(next(each for each in (folder, *folder.parents) if each.is_dir()))

    found = await asyncio.to_thread(look)
    yield Value(all_of.DISK_FREE, found.f_bavail * found.f_frsize)
    yield Value(all_of.DISK_SIZE, found.f_blocks * found.f_frsize)


async def _journal(pipeline: Any) -> AsyncIterator[Value]:
    # With Reporting these are loaded.
    from quartapp.reporting.journal.backlog import uncounted
    from quartapp.reporting.journal.segments import disk_usage, list_segments
    from quartapp.reporting.journal.writer import MAX_BYTES

    folder: Path = pipeline.journal.folder

    def look() -> tuple[int, int, int, float]:
        paths = list_segments(folder)
        return len(paths), disk_usage(folder), *uncounted(paths, pipeline.consumer.offsets)

    segments, used, waiting, oldest = await asyncio.to_thread(look)
    yield Value(all_of.JOURNAL_SEGMENTS, segments)
    yield Value(all_of.JOURNAL_BYTES, used)
    yield Value(all_of.JOURNAL_LIMIT, MAX_BYTES)
    yield Value(all_of.UNCOUNTED, waiting)
    yield Value(all_of.UNCOUNTED_AGE, max(0.0, time.time() - oldest) if waiting else 0.0)


async def _database(database: Any) -> AsyncIterator[Value]:
    try:
        async with asyncio.timeout(PATIENCE / 2):
            await database.ping()
    except Exception:  # noqa: BLE001 - whatever it is, it did not answer
        yield Value(all_of.DATABASE_UP, 0)
    else:
        yield Value(all_of.DATABASE_UP, 1)


def _alerts(app: Quart) -> Outboxes:
    pipeline = app.extensions.get("reporting")
    if pipeline is None:
        return {}
    # Its tables are made after the start, and may be.
    return {
        "mails": lambda: pipeline.mailer if pipeline.is_prepared else None,
        "webhooks": lambda: pipeline.webhook if pipeline.is_prepared else None,
    }


async def _outbox(name: str, find: Callable[[], Any]) -> AsyncIterator[Value]:
    sender = find()
    if sender is not None:
        found = await sender.backlog()
        yield Value(all_of.OUTBOX_WAITING, found.waiting, (name,))
        yield Value(all_of.OUTBOX_AGE, found.age, (name,))
        yield Value(all_of.OUTBOX_FAILING, found.failing, (name,))
        yield Value(all_of.OUTBOX_DEAD, found.dead, (name,))
