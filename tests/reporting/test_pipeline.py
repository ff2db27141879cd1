"""How the pipeline's tasks end."""

import asyncio
from pathlib import Path

import pytest

from quartapp.reporting import pipeline
from quartapp.reporting.capture import origin
from quartapp.reporting.pipeline import Pipeline, end, repeat
from quartapp.reporting.report import Report
from tests.shop.app import create_app


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "CANCEL_AGAIN", 0.01)
    lost = 0

    async def work() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await end(task)
    assert task.cancelled()
    assert lost == 2


async def test_what_a_task_raises_at_its_end_is_not_raised_again() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("at the end")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await end(task)
    assert task.done()


async def test_no_failure_ends_the_counting() -> None:
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        raise OSError("the disk became read-only")

    task = asyncio.create_task(repeat(0.001, work))
    await asyncio.sleep(0.05)
    assert not task.done()
    await end(task)
    assert rounds > 1


async def test_counts_that_are_owed_and_cannot_be_counted_are_named_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "instance").touch()
    app = create_app(tmp_path, f"sqlite:///{tmp_path / 'without-tables.db'}")
    pipeline: Pipeline = app.extensions["reporting"]
    await pipeline.start()
    for _ in range(3):
        pipeline.recorder.record(ValueError("lost"))
    assert pipeline.recorder.owed == 3
    await pipeline.stop()
    await pipeline.database.dispose()
    [line] = [line for line in caplog.messages if "stay uncounted" in line]
    assert line.startswith("3 errors that the journal refused stay uncounted: OperationalError")


async def test_git_is_asked_soon_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    def described(_: Path) -> str:
        loop.call_soon_threadsafe(asked.set)
        return "v1"

    monkeypatch.setattr(origin, "described", described)
    monkeypatch.setattr(pipeline, "EVERY", 0.01)
    own = create_app(tmp_path, f"sqlite:///{tmp_path / 'x.db'}").extensions["reporting"]
    await own.start()
    assert not asked.is_set()
    async with asyncio.timeout(30):
        await asked.wait()
    await own.stop()
    await own.database.dispose()


def test_an_error_before_the_start_asks_git_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[Report] = []
    monkeypatch.setattr(origin, "described", lambda _: "v1")
    app = create_app(tmp_path, f"sqlite:///{tmp_path / 'x.db'}")
    recorder = app.extensions["reporting"].recorder
    recorder.listeners.append(reports.append)
    recorder.record(ValueError("early"))
    assert [report.origin.release for report in reports] == ["v1"]
