"""The recorder: what is written, what is only counted, and what happens if it cannot write."""

import logging
import os
from pathlib import Path

import pytest

from quartapp.redact.context import Context
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting import recorder as recorder_module
from quartapp.reporting.journal import writer as journal_module
from quartapp.reporting.journal.entries import UNKNOWN, Brief, Entry, Tick, decode
from quartapp.reporting.journal.losses import Losses, add_losses, read_losses
from quartapp.reporting.journal.segments import list_segments, open_segment
from quartapp.reporting.journal.shared import shared_numbers
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.recorder import MOST_KINDS, Recorder
from quartapp.reporting.report import Origin, Report, person_of


class Clock:
    now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(journal_module, "_LOOK_AGAIN", 0.0)
    return Recorder(
        Journal(tmp_path / "journal", segment_bytes=65536),
        places=Places(Path(__file__).parent),
        origin=Origin,
        scrubber=Scrubber(),
        clock=clock,
    )


def journal_of(recorder: Recorder) -> Journal:
    assert isinstance(recorder.journal, Journal)
    return recorder.journal


def entries(recorder: Recorder) -> list[Entry]:
    found: list[Entry] = []
    for path in list_segments(journal_of(recorder).folder):
        with open_segment(path) as reading:
            assert reading is not None
            found += map(decode, reading.read(0).payloads)
    return found


def total(recorder: Recorder) -> int:
    return sum(1 if isinstance(entry, Report) else entry.count for entry in entries(recorder))


def error(group: str = "a") -> ValueError:
    made = ValueError(group)
    made.__fingerprint__ = group  # type: ignore[attr-defined]  # documented
    return made


def test_five_full_reports_a_minute_and_ticks_for_the_rest(
    recorder: Recorder, clock: Clock
) -> None:
    for _ in range(8):
        recorder.record(error())
    clock.now += 61
    recorder.record(error())
    assert [type(entry) for entry in entries(recorder)] == [Report] * 5 + [Tick] * 3 + [Report]


def test_occurrences_are_counted_by_class_for_a_bounded_number_of_classes(
    recorder: Recorder,
) -> None:
    recorder.record(logging.LogRecord("app", logging.ERROR, "", 1, "no error", (), None))
    for number in range(2 * MOST_KINDS):
        recorder.record(type(f"Error{number}", (Exception,), {})())
    assert len(recorder.kinds) == MOST_KINDS + 1
    assert recorder.kinds["log"] == recorder.kinds["Error0"] == 1
    assert recorder.kinds["other"] == MOST_KINDS + 1


def test_a_clock_that_is_set_back_begins_a_new_minute(recorder: Recorder, clock: Clock) -> None:
    for _ in range(6):
        recorder.record(error())
    clock.now -= 3600
    recorder.record(error())
    assert isinstance(entries(recorder)[-1], Report)


def test_asks_for_the_context_only_of_what_is_written_in_full(recorder: Recorder) -> None:
    asked: list[Context] = []

    def request_context() -> Context:
        asked.append(Context(mechanism="test"))
        return asked[-1]

    for _ in range(10):
        recorder.record(error(), request_context)
    assert len(asked) == 5


def test_each_occurrence_has_its_reference_and_its_person(recorder: Recorder) -> None:
    def request_context() -> Context:
        return Context(reference="23456789", user_id="7")

    for _ in range(6):
        recorder.record(error(), request_context, lambda: ("23456789", "7"))
    recorder.record(error(), request_context, lambda: ("not one of ours", ""))
    recorder.record(error(), request_context, lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    found = [(entry.reference, entry.person) for entry in entries(recorder)]
    assert found == [("23456789", person_of("7"))] * 6 + [("", "")] * 2


@pytest.mark.slow
def test_a_thousand_different_errors_are_kept_apart_and_further_ones_named(
    recorder: Recorder, clock: Clock
) -> None:
    for number in range(1003):
        recorder.record(error(f"{number}"))
    assert [type(entry) for entry in entries(recorder)] == [Report] * 1000 + [Brief] * 3
    clock.now += 61
    recorder.record(error("new"))
    assert isinstance(entries(recorder)[-1], Report)
    assert len(recorder._windows) == 1000


def test_only_counts_when_the_journal_is_crowded(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "is_crowded", True)
    for _ in range(3):
        recorder.record(error())
    assert [type(entry) for entry in entries(recorder)] == [Brief, Tick, Tick]


def test_owes_what_the_disk_does_not_take_and_writes_it_when_it_does(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Journal.append
    monkeypatch.setattr(Journal, "append", lambda _self, _payload: False)
    for group in ("a", "a", "b"):
        recorder.record(error(group))
    assert (recorder.lost_reports, recorder.owed) == (3, 3)
    monkeypatch.setattr(Journal, "append", append)
    recorder.record(error("c"))
    assert (recorder.lost_reports, recorder.owed) == (3, 0)
    assert total(recorder) == 4


def test_other_processes_can_read_what_was_lost(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = journal_of(recorder).folder
    journal_of(recorder).prepare()
    recorder.write_owed()
    assert read_losses(folder) == Losses()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", lambda _self, _payload: False)
        recorder.record(error())
        recorder.record(error())
        recorder.write_owed()
        assert read_losses(folder) == Losses(2, 0, recorder._clock())
        recorder.write_owed()
    assert add_losses(folder, 10, 0, 1.0)  # another process
    recorder.write_owed()
    assert read_losses(folder) == Losses(12, 2, 1.0)
    assert str(read_losses(folder)) == (
        "the details of 12 errors were lost, the last at 1970-01-01 00:00:01 UTC;"
        " 10 of them are not counted"
    )


def test_losses_wait_while_another_process_notes_its_own(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = journal_of(recorder).folder
    recorder.record(error())
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", lambda _self, _payload: False)
        recorder.record(error())
    with shared_numbers(folder / "losses"):
        recorder.write_owed()
    assert read_losses(folder) == Losses()
    recorder.write_owed()
    assert (read_losses(folder).reports, read_losses(folder).counted) == (1, 1)


@pytest.mark.parametrize("content", [b"", b"[1, 2", b"[1, 2]", b"null", b'{"a": 1}', b"\xff" * 900])
def test_a_damaged_file_of_losses_begins_again(recorder: Recorder, content: bytes) -> None:
    folder = journal_of(recorder).folder
    folder.mkdir(exist_ok=True)
    (folder / "losses").write_bytes(content)
    assert read_losses(folder) == Losses()
    assert add_losses(folder, 1, 0, 5.0)
    assert read_losses(folder) == Losses(1, 0, 5.0)


def test_owes_a_bounded_number_of_groups(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "append", lambda _self, _payload: False)
    for number in range(1500):
        recorder.record(error(f"{number}"))
    assert len(recorder._owed) == 1001
    assert recorder._owed[UNKNOWN] == 500


def test_a_bug_of_the_recorder_costs_the_details_but_not_the_count(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Report:
        raise ZeroDivisionError

    monkeypatch.setattr(recorder_module, "capture", broken)
    group = recorder.record(error()).fingerprint
    monkeypatch.setattr(recorder_module, "fingerprint", broken)
    assert recorder.record(error()).fingerprint == UNKNOWN
    assert [entry.fingerprint for entry in entries(recorder)] == [group, UNKNOWN]


def test_an_error_while_recording_is_recorded_briefly_and_without_end(
    recorder: Recorder,
) -> None:
    def request_context() -> Context:
        recorder.record(error("inner"), request_context)
        recorder.record(error("second"), request_context)
        return Context()

    recorder.record(error("outer"), request_context)
    assert [type(entry) for entry in entries(recorder)] == [Brief, Brief, Report]


def test_an_error_that_records_itself_ends(recorder: Recorder) -> None:
    class EndlessError(Exception):
        @property
        def __fingerprint__(self) -> str:
            recorder.record(EndlessError())
            return "endless"

    recorder.record(EndlessError())
    assert total(recorder) == 4


def test_listeners_get_reports_that_are_in_the_journal_and_may_fail(
    recorder: Recorder,
) -> None:
    heard: list[int] = []

    def listener(_: Report) -> None:
        heard.append(total(recorder))
        raise ZeroDivisionError

    recorder.listeners.append(listener)
    for _ in range(7):
        recorder.record(error())
    assert heard == [1, 2, 3, 4, 5]
    assert total(recorder) == 7


def test_log_records_of_one_statement_are_one_group(recorder: Recorder) -> None:
    def record(*arguments: object) -> logging.LogRecord:
        return logging.LogRecord("app", logging.ERROR, "x.py", 1, "no %s", arguments, None, "f")

    first, second = recorder.record(record("one")), recorder.record(record("two"))
    assert first.fingerprint == second.fingerprint
    assert [getattr(entry, "message", "") for entry in entries(recorder)] == ["no one", "no two"]


def test_a_forked_child_does_not_write_what_its_parent_owes(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_of(recorder).prepare()
    append = Journal.append
    monkeypatch.setattr(Journal, "append", lambda _self, _payload: False)
    recorder.record(error())
    monkeypatch.setattr(Journal, "append", append)
    pid = os.fork()
    if pid == 0:
        recorder.write_owed()
        os._exit(0)
    os.waitpid(pid, 0)
    recorder.write_owed()
    assert total(recorder) == 1
    losses = read_losses(journal_of(recorder).folder)
    assert (losses.reports, losses.counted) == (1, 1)


@pytest.mark.parametrize(
    "entry",
    [
        Tick("a" * 32 + "-1", 1_900_000_000, 3),
        Brief("a" * 32 + "-1", 1_900_000_000, "日本\n\x00\udcff" * 90, "\\" * 900 + '"', 2),
        Tick("a" * 32 + "-1", 1_900_000_000, 3, "23456789", "f" * 16),
        Tick("a" * 32 + "-1", 1_900_000_000, 3, "", "f" * 16),
        Brief("a" * 32 + "-1", 1_900_000_000, "T" * 200, "c" * 200, 2, "23456789", "f" * 16),
    ],
)
def test_entries_are_one_short_line_and_come_back(entry: Tick | Brief) -> None:
    encoded = entry.encode()
    assert len(encoded) <= (330 if isinstance(entry, Brief) else 90)
    assert b"\n" not in encoded
    assert b"\0" not in encoded
    again = decode(encoded)
    assert (again.fingerprint, again.time) == (entry.fingerprint, entry.time)
    assert not isinstance(again, Report)
    assert (again.count, again.reference, again.person) == (
        entry.count,
        entry.reference,
        entry.person,
    )


def test_reads_the_lines_of_the_version_before() -> None:
    assert decode(b'["a",5,2]') == Tick("a", 5, 2)
    assert decode(b'["a",5,2,"title","web.posts"]') == Brief("a", 5, "title", "web.posts", 2)


@pytest.mark.parametrize(
    "line",
    [
        *[b"", b"x", b"[]", b'["a","b",1]', b'["a",1,2,3]', b'{"a":1}'],
        *[b'["a",1,2,"23456789 x"]', b'["a",1,2,"T","c",3]', b'["a",1,2,"T","c","","",""]'],
    ],
)
def test_other_lines_are_no_entries(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)


def test_a_brief_entry_holds_no_secret_of_the_request(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "is_crowded", True)
    line = logging.LogRecord("app", 40, __file__, 1, "no login with abcd1234", (), None)
    recorder.record(line, lambda: Context(form={"password": ["abcd1234"]}))
    [entry] = entries(recorder)
    assert isinstance(entry, Brief)
    assert entry.title == "no login with [hidden]"
