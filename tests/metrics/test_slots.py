"""The workers of a machine: one sum, whoever is asked, whatever happens to the others."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.metrics import slots, worker
from quartapp.metrics.slots import read_all, take
from quartapp.metrics.store import FILE_BYTES, MOST_ROWS, Metric, Row, Store
from tests.metrics.conftest import make_app, requests, row, scrape

SOLD = Metric("sold", "counter", "", ("kind",))
PRICE = Metric("price", "histogram", "", (), (1.0, 10.0))
SHELVES = Metric("shelves", "gauge", "")


_begun: list[slots.Slot] = []


def begin(folder: Path) -> tuple[Store, slots.Slot]:
    """A worker, which ends with the test at the latest."""
    store = Store()
    _begun.append(take(folder, store))
    return store, _begun[-1]


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    while _begun:
        _begun.pop().close()


def sold(folder: Path) -> float:
    """The sum over all workers."""
    return sum(r.numbers[0] for one in read_all(folder) for r in one.rows if r.name == "sold")


def test_a_worker_reads_the_numbers_of_the_others(tmp_path: Path) -> None:
    workers = [begin(tmp_path / "slots") for _ in range(3)]
    for number, (store, slot) in enumerate(workers):
        store.add(SOLD, number, "book")
        store.add(SHELVES, 1)
        store.observe(PRICE, 5.0)
        slot.write(*store.content())
    found = read_all(tmp_path / "slots")
    assert [(one.number, one.is_alive) for one in found] == [(0, True), (1, True), (2, True)]
    assert found[2].rows == [
        Row("sold", SOLD.form, ("book",), found[2].rows[0].numbers),
        Row("shelves", SHELVES.form, (), found[2].rows[1].numbers),
        Row("price", PRICE.form, (), found[2].rows[2].numbers),
    ]
    assert [list(row.numbers) for row in found[2].rows] == [[2.0], [1.0], [0.0, 1.0, 0.0, 5.0]]


def test_a_worker_that_ended_leaves_its_counters_to_the_next_one(tmp_path: Path) -> None:
    (first, ended), (second, living) = begin(tmp_path), begin(tmp_path)
    for store, slot in ((first, ended), (second, living)):
        store.add(SOLD, 10, "book")
        store.set(SHELVES, 1)
        slot.write(*store.content())
    ended.close()
    assert [(one.number, one.is_alive) for one in read_all(tmp_path)] == [(0, False), (1, True)]
    assert sold(tmp_path) == 20
    third, successor = begin(tmp_path)
    assert successor.number == 0
    assert sold(tmp_path) == 20, "before it has written anything"
    third.add(SOLD, 1, "book")
    third.add(SOLD, 1, "pen")
    successor.write(*third.content())
    assert sold(tmp_path) == 22
    assert [row.name for row in read_all(tmp_path)[0].rows] == ["sold", "sold"], "without the gauge"
    assert sorted(os.listdir(tmp_path)) == ["0", "1", "lock"]


def test_a_server_that_starts_again_begins_at_zero(tmp_path: Path) -> None:
    for _ in range(2):
        store, slot = begin(tmp_path)
        store.add(SOLD, 10, "book")
        slot.write(*store.content())
        assert sold(tmp_path) == 10
        slot.close()


def test_a_file_of_another_version_or_of_somebody_else_is_replaced(tmp_path: Path) -> None:
    begin(tmp_path)[1].close()
    _, living = begin(tmp_path)
    for content in (b"", b"nonsense", b"\xff" * 100, slots._MAGIC + b'["x"]\n', b"\0" * FILE_BYTES):
        (tmp_path / "1").write_bytes(content)
        assert [one.number for one in read_all(tmp_path)] == [0]
        store, slot = begin(tmp_path)
        assert (slot.number, living.number) == (1, 0)
        store.add(SOLD, 1, "book")
        slot.write(*store.content())
        assert sold(tmp_path) == 1
        slot.close()


@pytest.mark.slow
def test_a_process_that_holds_the_lock_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path)
    monkeypatch.setattr(slots, "PATIENCE", 0.05)
    with (tmp_path / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            begin(tmp_path)
        with pytest.raises(TimeoutError):
            read_all(tmp_path)


def test_a_metric_has_a_bounded_number_of_rows() -> None:
    store = Store()
    for number in range(3 * MOST_ROWS):
        store.add(SOLD, 1, f"kind {number}")
    names, numbers = store.content()
    assert len(names.splitlines()) == MOST_ROWS + 1
    assert b'"other"' in names.splitlines()[-1]
    assert len(numbers) == 8 * (MOST_ROWS + 1)


def test_a_store_that_is_full_counts_no_more_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    for number in range(40):
        metric = Metric(f"many_{number}", "counter", "", ("name",))
        for other in range(200):
            store.add(metric, 1, f"{other:0200d}")
    names, numbers = store.content()
    assert len(names) < FILE_BYTES // 2
    assert len(numbers) < FILE_BYTES // 2
    assert caplog.text.count("There are too many metrics") == 1


async def test_a_folder_that_cannot_be_written_costs_only_the_sum(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "metrics").write_text("in the way")
    app = make_app(tmp_path)
    async with app.test_app():
        assert (await app.test_client().get("/books/1")).status_code == 200
        found = await scrape(app)
        assert requests(found) == {row("/books/<int:number>", 200): 1}
        assert found['quartapp_metrics_failing{part="sharing"}'] == 1
        assert "quartapp_workers" not in found, "which nobody knows"
        assert caplog.text.count("other workers cannot see the numbers of this one") == 1
        (tmp_path / "metrics").unlink()
        await app.extensions["metrics"]._share()
        assert (await scrape(app))['quartapp_metrics_failing{part="sharing"}'] == 0
    assert caplog.text.count("Metrics are complete again") == 1


async def test_a_full_disk_costs_only_the_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    app = make_app(tmp_path)
    async with app.test_app():
        await app.test_client().get("/books/1")
        assert requests(await scrape(app)) == {row("/books/<int:number>", 200): 1}
    assert "No space left on device" in caplog.text
    assert os.listdir(tmp_path / "metrics" / "shop") == ["lock"]


async def test_files_that_are_removed_under_a_worker_are_made_again(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.test_app():
        await app.test_client().get("/books/1")
        folder = app.extensions["metrics"].folder
        for path in folder.iterdir():
            path.unlink()
        await app.extensions["metrics"]._share()
        assert sorted(os.listdir(folder)) == ["0", "lock"]
        assert requests(await scrape(app)) == {row("/books/<int:number>", 200): 1}


async def test_a_folder_that_is_moved_away_is_made_again(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.test_app():
        await app.test_client().get("/books/1")
        (tmp_path / "metrics").rename(tmp_path / "moved")
        found = await scrape(app)
        assert requests(found) == {row("/books/<int:number>", 200): 1}
        assert found['quartapp_metrics_failing{part="others"}'] == 0
        assert sorted(os.listdir(tmp_path / "metrics" / "shop")) == ["0", "lock"]


async def test_a_worker_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "EVERY", 0.01)
    app = make_app(tmp_path)
    async with app.test_app():
        time.sleep(0.06)  # noqa: ASYNC251 - blocks the loop, which is then late
        found = await scrape(app)
        while not found.get("quartapp_event_loop_lag_seconds_count"):
            found = await scrape(app)
    assert found['quartapp_worker_heartbeat_age_seconds{worker="0"}'] < 5
    assert found["quartapp_event_loop_lag_seconds_sum"] > 0.03


async def test_what_one_worker_has_shown_every_other_one_shows_too(tmp_path: Path) -> None:
    first, second = make_app(tmp_path), make_app(tmp_path)
    async with first.test_app(), second.test_app():
        for number in range(1, 4):
            await first.test_client().get("/books/1")
            expected = {row("/books/<int:number>", 200): number}
            assert requests(await scrape(first)) == expected
            assert requests(await scrape(second)) == expected, "a counter that falls is a restart"


SERVE = """
import asyncio, sys
from pathlib import Path
from tests.metrics.conftest import make_app

async def serve():
    app = make_app(Path(sys.argv[1]))
    async with app.test_app():
        await app.test_client().get("/books/1")
        await app.extensions["metrics"]._share()
        print("ready", flush=True)
        await asyncio.sleep(60)

asyncio.run(serve())
"""


@pytest.mark.slow
@pytest.mark.lenient("blocks")  # it waits for the other process
async def test_kill_9_of_a_worker_loses_no_count_and_its_successor_goes_on(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.test_app():
        await app.test_client().get("/books/1")
        with subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", SERVE, tmp_path], stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            both = await scrape(app)
            other.send_signal(signal.SIGKILL)
            other.wait()
        one = await scrape(app)
        assert requests(both) == requests(one) == {row("/books/<int:number>", 200): 2}
        assert (both["quartapp_workers"], one["quartapp_workers"]) == (2, 1)
        assert (both["quartapp_worker_starts_total"], one["quartapp_worker_starts_total"]) == (2, 2)
        for gauge in ("process_open_fds", "quartapp_worker_heartbeat_age_seconds"):
            assert len([name for name in both if name.startswith(gauge)]) == 2
            assert len([name for name in one if name.startswith(gauge)]) == 1
        successor = make_app(tmp_path)
        async with successor.test_app():
            found = await scrape(successor)
        assert requests(found) == requests(one)
        assert found["quartapp_worker_starts_total"] == 3


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads
async def test_a_forked_process_counts_for_itself(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.test_app():
        await app.test_client().get("/books/1")
        await app.extensions["metrics"]._share()
        child = os.fork()
        if not child:
            numbers = app.extensions["metrics"].store.content()[1]
            is_alone = app.extensions["metrics"]._slot is None
            os._exit(0 if is_alone and not any(numbers) else 1)
        assert os.waitpid(child, 0)[1] == 0  # noqa: ASYNC222
        assert requests(await scrape(app)) == {row("/books/<int:number>", 200): 1}
