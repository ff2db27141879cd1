"""A handler with a spool: what survives the end of a process, and what several processes share.

Handlers that share a spool agree by locks of files, so two of them in one process behave as two
processes do. A handler whose thread never works stands for a process that was killed.
"""

import errno
import json
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from quartapp.reporting.handler.dispatch import Dispatcher
from quartapp.reporting.handler.source import Spool
from quartapp.reporting.journal import segments, writer
from tests.post_office import PostOffice
from tests.reporting.handler.conftest import MakeHandler, Quick


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Spool, "poll", 0.05)
    monkeypatch.setattr(writer, "_LOOK_AGAIN", 0.02)
    return tmp_path / "spool"


class Killed(Quick):
    """Records, and never counts: its process ends with a kill."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sender.wake = lambda: None  # type: ignore[method-assign]

    def die(self) -> None:
        """The kernel closes the files of a process that was killed."""
        assert isinstance(self._source, Spool)
        journal = self._source.journal
        for segment in (journal._segment, journal._spare):
            assert segment is not None
            segment.close()
        self._is_used = False


def log(handler: Quick, count: int = 1, message: str = "Order %s is lost") -> None:
    for number in range(count):
        record = logging.LogRecord("shop", 40, __file__, 1, message, (number,), None)
        handler.handle(record)


def files(spool: Path) -> list[str]:
    return sorted(os.listdir(spool / "journal"))


def test_the_next_process_counts_and_mails_what_was_left(
    mails: PostOffice, make_handler: MakeHandler, spool: Path
) -> None:
    killed = make_handler(kind=Killed, spool=spool)
    log(killed, 50)
    killed.die()
    following = make_handler(spool=spool)  # without a record of its own
    mails.wait_for(1)
    assert mails.counts == ["50 times"]
    following.close()
    assert files(spool) == []


def test_a_clean_exit_leaves_nothing_to_do(
    mails: PostOffice, make_handler: MakeHandler, spool: Path
) -> None:
    handler = make_handler(spool=str(spool))
    log(handler, 3)
    handler.close()
    assert mails.counts == ["3 times"]
    following = make_handler(spool=spool)
    assert following._sender._thread is None
    log(following, 2)
    following.close()
    assert mails.counts == ["3 times", "5 times"]


def test_processes_with_one_spool_count_together_and_mail_once(
    mails: PostOffice, make_handler: MakeHandler, spool: Path
) -> None:
    handlers = [make_handler(spool=spool) for _ in range(3)]
    for _ in range(10):
        for handler in handlers:
            log(handler)
    mails.wait_for(1)
    deadline = time.monotonic() + 60
    while mails.counts[-1] != "30 times" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mails.counts[-1] == "30 times"
    assert sum(" NEW " in mail.message["Subject"] for mail in mails.server.mails) == 1


@pytest.mark.slow
def test_another_process_continues_where_the_first_one_ended(
    mails: PostOffice, make_handler: MakeHandler, spool: Path
) -> None:
    first, second = (make_handler(spool=spool) for _ in range(2))
    log(first, 3)
    mails.wait_for(1)
    log(second, 4)
    first.close()
    log(second, 5)
    second.close()
    assert mails.counts[-1] == "12 times"


def test_a_process_that_is_killed_between_counting_and_saving_has_counted_nothing(
    mails: PostOffice,
    make_handler: MakeHandler,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = make_handler(kind=Killed, spool=spool)
    log(killed, 5)
    with monkeypatch.context() as patch:
        patch.setattr(Dispatcher, "_save", lambda _self, **_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            killed._dispatcher(hurry=False, last=False)
    assert killed._dispatcher.groups.unmailed == 5
    killed._source.release()
    killed.die()
    make_handler(spool=spool).flush()
    assert mails.counts == ["5 times"]


@pytest.mark.slow
def test_a_segment_is_removed_only_after_its_counts_are_saved(
    mails: PostOffice,
    make_handler: MakeHandler,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = make_handler(kind=Killed, spool=spool)
    log(killed, 5)
    killed.die()
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "_replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        second = make_handler(spool=spool)
        mails.wait_for(1)
        assert "full" in second.errors[0]
        assert len(files(spool)) >= 2
        second._source.release()  # it was killed too
        second._source.poll = 60.0
    third = make_handler(spool=spool)
    log(third)
    third.flush()
    assert mails.counts[-1] == "6 times"


@pytest.mark.slow
def test_a_state_that_is_damaged_is_set_aside(
    mails: PostOffice, make_handler: MakeHandler, spool: Path
) -> None:
    spool.mkdir()
    for number, damaged in enumerate(
        ["", "[]", "{", '{"offsets": 1}', '{"offsets": {}, "groups": 1}']
    ):
        (spool / "state").write_text(damaged)
        handler = make_handler(spool=spool)
        log(handler)
        handler.close()
        assert len(mails.counts) == number + 1
        assert json.loads((spool / "state").read_text())["unmailed"] == 0
    assert len(list(spool.glob("state.aside-*"))) == 5


@pytest.mark.slow
def test_a_full_disk_is_loud_and_costs_no_count(
    mails: PostOffice,
    make_handler: MakeHandler,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler = make_handler(spool=spool)
    log(handler, 2)
    mails.wait_for(1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        patch.setattr(segments, "_allocate", full)
        log(handler, 20)
        mails.wait_for(2)
    log(handler, 3)
    handler.flush()
    assert mails.counts[-1] == "25 times"
    assert "find no room" in handler.errors[0]


@pytest.mark.slow
def test_counts_that_another_process_cannot_write_are_written_later(
    mails: PostOffice,
    make_handler: MakeHandler,
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (make_handler(spool=spool) for _ in range(2))
    log(first)
    first.flush()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(segments, "_allocate", full)
        log(second, 4)
    time.sleep(0.1)
    second.flush()
    first.flush()
    assert mails.counts[-1] == "5 times"


@pytest.mark.slow
def test_a_spool_that_is_removed_loses_no_count(
    mails: PostOffice, make_handler: MakeHandler, spool: Path
) -> None:
    handler = make_handler(spool=spool)
    log(handler, 2)
    mails.wait_for(1)
    spool.rename(spool.with_name("gone"))
    shutil.rmtree(spool.with_name("gone"))
    log(handler, 3)
    handler.flush()
    second = make_handler(spool=spool)
    assert not second._source.is_ours(second._dispatcher.groups)
    handler.close()
    assert mails.counts[-1] == "5 times"
    assert json.loads((spool / "state").read_text())["unmailed"] == 0


def test_only_the_owner_can_read_a_spool(
    mails: PostOffice, make_handler: MakeHandler, spool: Path
) -> None:
    before = os.umask(0)
    try:
        handler = make_handler(spool=spool)
        log(handler)
        handler.flush()
        found = [spool, *spool.rglob("*")]
        assert [path for path in found if path.stat().st_mode & 0o077] == []
    finally:
        os.umask(before)
