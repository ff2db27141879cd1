"""The journal: what it keeps when processes and disks fail and bytes are damaged."""

import errno
import gc
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from quartapp.reporting.journal import segments
from quartapp.reporting.journal import writer as journal_module
from quartapp.reporting.journal.segments import (
    Content,
    Segment,
    list_segments,
    open_segment,
    pack,
    parse,
)
from quartapp.reporting.journal.writer import Journal


def read_all(folder: Path) -> list[bytes]:
    payloads: list[bytes] = []
    for path in list_segments(folder):
        with open_segment(path) as reading:
            assert reading is not None
            payloads += reading.read(0).payloads
    return payloads


def small(folder: Path, **options: Any) -> Journal:
    return Journal(folder, **({"segment_bytes": 4096} | options))


def in_child(work: object) -> int:
    """Run `work` in a forked child that ends with SIGKILL, as in a crash; returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            work()  # type: ignore[operator]  # a callable
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    return pid


def test_keeps_what_was_appended_through_a_kill(tmp_path: Path) -> None:
    in_child(lambda: [small(tmp_path).append(b"one"), small(tmp_path).append(b"two")])
    assert read_all(tmp_path) == [b"one", b"two"]


def test_a_living_owner_keeps_its_segment_and_a_dead_one_leaves_it(tmp_path: Path) -> None:
    journal = small(tmp_path)
    journal.append(b"mine")
    in_child(lambda: small(tmp_path).append(b"orphan"))
    found = {}
    for path in list_segments(tmp_path):
        with open_segment(path) as reading:
            assert reading is not None
            for payload in reading.read(0).payloads:
                found[payload] = reading.final
    assert found == {b"mine": False, b"orphan": True}


def test_an_orphan_has_one_adopter_at_a_time(tmp_path: Path) -> None:
    in_child(lambda: small(tmp_path).append(b"orphan"))
    path = list_segments(tmp_path)[0]
    with open_segment(path) as first, open_segment(path) as second:
        assert first is not None
        assert second is not None
        assert (first.final, second.final) == (True, False)
        first.remove()
    with open_segment(path) as third:
        assert third is None


def test_one_that_waited_at_the_lock_of_a_removed_segment_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_child(lambda: small(tmp_path).append(b"orphan"))
    path = list_segments(tmp_path)[0]
    lock = segments._lock

    def slow_lock(handle: int) -> bool:
        path.unlink()
        return lock(handle)

    monkeypatch.setattr(segments, "_lock", slow_lock)
    with open_segment(path) as reading:
        assert reading is None


def test_a_segment_of_a_living_owner_cannot_be_removed(tmp_path: Path) -> None:
    journal = small(tmp_path)
    journal.append(b"mine")
    with open_segment(list_segments(tmp_path)[0]) as reading:
        assert reading is not None
        with pytest.raises(ValueError, match="still writes"):
            reading.remove()


def test_goes_on_in_the_next_segment(tmp_path: Path) -> None:
    journal = small(tmp_path)
    expected = [b"%d" % number * 100 for number in range(200)]
    for payload in expected:
        assert journal.append(payload)
    assert read_all(tmp_path) == expected
    assert len(list_segments(tmp_path)) > 5


def test_refuses_a_payload_that_no_segment_holds(tmp_path: Path) -> None:
    journal = small(tmp_path)
    assert not journal.append(b"x" * 5000)
    assert journal.append(b"small")
    assert read_all(tmp_path) == [b"small"]


def test_a_forked_child_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    journal = small(tmp_path)
    journal.append(b"parent")
    own = journal.segment_name
    in_child(lambda: journal.append(b"child"))
    journal.append(b"parent again")
    assert journal.segment_name == own
    assert sorted(read_all(tmp_path)) == [b"child", b"parent", b"parent again"]


def test_a_child_that_outlives_its_parent_does_not_keep_the_segment(tmp_path: Path) -> None:
    ready, tell_ready = os.pipe()
    wait_end, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        journal = small(tmp_path)
        journal.append(b"parent")
        if os.fork() == 0:
            os.close(end)
            os.write(tell_ready, b"x")
            os.read(wait_end, 1)  # stays alive until the test has looked
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    os.read(ready, 1)
    with open_segment(list_segments(tmp_path)[0]) as reading:
        assert reading is not None
        assert reading.final
    for handle in (ready, tell_ready, wait_end, end):
        os.close(handle)


# Python 3.12 warns of forking with threads, which is what is tested here.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_another_thread_writes_does_not_hang_the_child(tmp_path: Path) -> None:
    journal = small(tmp_path)
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with journal._lock:
            holding.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(60)

    def work() -> None:
        signal.alarm(30)
        journal.append(b"child")

    in_child(work)
    done.set()
    thread.join()
    assert read_all(tmp_path) == [b"child"]


def test_threads_do_not_write_over_each_other(tmp_path: Path) -> None:
    journal = small(tmp_path)

    def write(name: int) -> None:
        for number in range(300):
            journal.append(b"%d %d" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_all(tmp_path)) == sorted(
        b"%d %d" % (name, number) for name in range(4) for number in range(300)
    )


@pytest.mark.slow
def test_a_destructor_may_append_in_the_middle_of_an_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = small(tmp_path)
    journal.append(b"before")

    class Dying:
        def __del__(self) -> None:
            journal.append(b"from a destructor")

    pwrite = os.pwrite

    def pwrite_with_collection(handle: int, data: bytes, offset: int) -> int:
        monkeypatch.setattr(os, "pwrite", pwrite)
        dying = Dying()
        dying.me = dying  # type: ignore[attr-defined]  # a cycle, for the collector
        del dying
        gc.collect()
        return pwrite(handle, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite_with_collection)
    assert journal.append(b"outer")
    assert read_all(tmp_path) == [b"before", b"outer", b"from a destructor"]


def test_what_a_destructor_appended_to_a_full_disk_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    assert journal.append(b"1")
    monkeypatch.setattr(journal_module, "_LOOK_AGAIN", 0.0)
    write = Segment.write

    def refused(self: Segment, line: bytes) -> None:
        journal.append(b"of a destructor")
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Segment, "write", refused)
    assert not journal.append(b"2")
    monkeypatch.setattr(Segment, "write", write)
    journal.write_waiting()
    journal.close()
    assert b"of a destructor" in b"".join(path.read_bytes() for path in list_segments(tmp_path))


def test_what_root_has_made_belongs_to_the_owner_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[object, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda made, owner, _group: given.append((made, owner)))
    segment = Segment.make(tmp_path / "journal", 4096)
    owner = tmp_path.stat().st_uid
    assert given == [(tmp_path / "journal", owner), (segment._handle, owner)]
    segment.close()


def test_a_destructor_may_append_between_the_look_for_room_and_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = small(tmp_path)
    for _ in range(4):
        journal.append(b"x" * 950)
    has_room = Segment.has_room

    def has_room_then_collection(self: Segment, line: bytes) -> bool:
        monkeypatch.setattr(Segment, "has_room", has_room)
        found = has_room(self, line)
        journal.append(b"y" * 200)
        return found

    monkeypatch.setattr(Segment, "has_room", has_room_then_collection)
    journal.append(b"z" * 200)
    assert {path.stat().st_size for path in list_segments(tmp_path)} == {4096}
    assert read_all(tmp_path)[-2:] == [b"z" * 200, b"y" * 200]


def test_a_full_disk_is_met_a_segment_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = small(tmp_path)
    journal.prepare()

    def no_space(_handle: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(segments, "_allocate", no_space)
    written = [journal.append(b"x" * 1000) for _ in range(10)]
    assert written == [True] * 8 + [False] * 2
    assert len(read_all(tmp_path)) == 8
    assert not list(tmp_path.glob("*.new"))


def test_takes_up_again_when_the_disk_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_LOOK_AGAIN", 0.0)
    journal = small(tmp_path / "file" / "journal")
    (tmp_path / "file").write_text("in the way")
    assert not journal.append(b"lost")
    (tmp_path / "file").unlink()
    assert journal.append(b"kept")


def test_half_a_line_of_a_failed_write_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_LOOK_AGAIN", 0.0)
    journal = small(tmp_path)
    journal.append(b"before")
    pwrite = os.pwrite

    def half(handle: int, data: bytes, offset: int) -> int:
        pwrite(handle, data[: len(data) // 2], offset)
        monkeypatch.setattr(os, "pwrite", pwrite)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", half)
    assert not journal.append(b"a long line that is torn in two")
    assert journal.append(b"after")
    assert read_all(tmp_path) == [b"before", b"after"]


def test_stays_below_its_limit_until_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_LOOK_AGAIN", 0.0)
    journal = small(tmp_path, max_bytes=40960, reports_bytes=28672)
    results = [journal.append(b"x" * 1000) for _ in range(100)]
    assert results.count(True) == 40
    assert segments.disk_usage(tmp_path) == 40960
    assert journal.is_crowded
    for path in list_segments(tmp_path)[:6]:
        with open_segment(path) as reading:
            assert reading is not None
            reading.remove()
    assert journal.append(b"again")
    assert not journal.is_crowded


def test_an_incomplete_segment_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1-1-aa.new").write_bytes(b"")
    segments.sweep(tmp_path)
    assert list(tmp_path.iterdir())
    monkeypatch.setattr(segments, "_INCOMPLETE_LIFETIME", -1.0)
    segments.sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_syncs_segments_that_were_left_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(os.fstat(handle).st_ino))
    journal = small(tmp_path, fsync=True)
    for _ in range(10):
        journal.append(b"x" * 1000)
    journal.sync()
    journal.sync()
    written = [path for path in list_segments(tmp_path) if path.read_bytes().strip(b"\0")]
    assert synced == [path.stat().st_ino for path in written]


def test_syncs_the_names_of_new_segments_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(journal_module, "sync_folder", synced.append)
    journal = small(tmp_path / "instance" / "journal", fsync=True)
    for _ in range(2):
        journal.append(b"x")
        journal.sync()
    assert synced == [journal.folder, journal.folder.parent, tmp_path]
    journal.append(b"x" * 4000)
    journal.append(b"x" * 4000)

    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "sync_folder", fail)
        with pytest.raises(OSError, match="Input"):
            journal.sync()
    journal.sync()
    assert synced[3:] == [journal.folder]


def test_puts_back_what_was_written_since_the_folder_was_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "journal"
    journal = small(folder)
    journal.append(b"before")
    name = journal.segment_name
    shutil.rmtree(folder)
    for number in range(20):  # more than a segment holds, before it looks again
        journal.append(b"%d" % number * 500)
    assert read_all(folder)[0] == b"before"
    assert len(read_all(folder)) == 21
    assert list_segments(folder)[0].stem == name
    assert caplog.text.count("was removed or replaced") == 1


def test_asks_for_the_folder_at_most_every_so_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = small(tmp_path / "journal")
    asked = 0

    def is_in_place(_self: Segment) -> bool:
        nonlocal asked
        asked += 1
        return True

    monkeypatch.setattr(Segment, "is_in_place", property(is_in_place))
    monkeypatch.setattr(journal_module, "_LOOK_AFTER", 60.0)
    for _ in range(100):
        journal.append(b"x")
    assert asked <= 1


def test_an_open_segment_that_cannot_be_put_back_now_is_put_back_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_LOOK_AFTER", 0.0)
    monkeypatch.setattr(journal_module, "_LOOK_AGAIN", 0.0)
    journal = small(tmp_path / "instance" / "journal")
    journal.append(b"before")
    shutil.rmtree(tmp_path / "instance")
    (tmp_path / "instance").write_text("in the way")
    assert journal.append(b"meanwhile")
    assert journal.append(b"again")
    assert journal.is_homeless
    (tmp_path / "instance").unlink()
    journal.write_waiting()
    assert read_all(journal.folder) == [b"before", b"meanwhile", b"again"]
    assert not journal.is_homeless
    assert caplog.text.count("cannot be made again") == 1


LINES = [b'{"a":1}', b"[2]", b"three"]
DATA = b"".join(map(pack, LINES)) + bytes(40)


def test_every_flipped_bit_costs_the_lines_it_touches_and_no_other() -> None:
    ends = [len(b"".join(map(pack, LINES[: n + 1]))) for n in range(len(LINES))]
    for position in range(ends[-1]):
        touched = sum(position >= end for end in ends)
        for bit in range(8):
            data = bytearray(DATA)
            data[position] ^= 1 << bit
            content = parse(bytes(data), final=True)
            lost = [payload for payload in LINES if payload not in content.payloads]
            assert set(content.payloads) <= set(LINES)
            assert LINES[touched] in lost
            # A flipped LF joins two lines; every other damage stays within its line.
            assert lost == LINES[touched : touched + len(lost)]
            assert len(lost) <= (2 if position + 1 in ends else 1)
            assert content.corrupt >= 1


def test_every_length_keeps_the_whole_lines_before_it() -> None:
    for length in range(len(DATA)):
        data = DATA[:length]
        whole = data.count(b"\n")
        assert parse(data, final=True).payloads == LINES[:whole]
        live = parse(data, final=False)
        assert live.payloads == LINES[:whole]
        assert live.corrupt == 0
        assert live.end == len(b"".join(map(pack, LINES[:whole])))


def test_a_living_segment_is_read_up_to_what_is_being_written() -> None:
    first, second = pack(b"first"), pack(b"second")
    assert parse(first + second[:5] + bytes(30), final=False) == Content([b"first"], len(first))
    for written in (0, 6):
        hole = first + second[:written] + bytes(6) + second[written + 6 :] + pack(b"third")
        assert parse(hole, final=False) == Content([b"first"], len(first))


def test_pages_that_were_lost_with_the_power_are_passed_over() -> None:
    data = pack(b"first") + pack(b"torn")[:7] + bytes(4096) + pack(b"second") + bytes(100)
    content = parse(data, final=True)
    assert content == Content([b"first", b"second"], len(data) - 100, corrupt=1)
