"""The log file's and the terminal's tracebacks."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.logfile import record as record_module
from quartapp.logfile.record import Cleaner
from quartapp.redact.context import Context
from quartapp.redact.places import Places
from quartapp.redact.reading import ExceptionReading, attach, summarize
from quartapp.redact.scrub import Scrubber
from quartapp.redact.secret_names import HIDDEN

TUTORIAL = "%(asctime)s %(levelname)s: %(message)s [in %(pathname)s:%(lineno)d]"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


class Cleaning(logging.Formatter):
    """Formats the copy that a cleaner makes of a record."""

    def __init__(self, fmt: str, *, context: Context | None = None) -> None:
        super().__init__(fmt)
        self.context = context or Context()
        self._clean = Cleaner(
            places=Places(Path(__file__).parent),
            scrubber=Scrubber(known=["the-key-of-the-application"]),
            request_secrets=lambda: self.context,
        )

    def format(self, record: logging.LogRecord) -> str:
        return super().format(self._clean(record))


@pytest.fixture
def formatter() -> Cleaning:
    return Cleaning("%(levelname)s: %(message)s")


@pytest.fixture
def logger(stream: io.StringIO, formatter: Cleaning) -> Iterator[logging.Logger]:
    logger = logging.Logger("app")  # noqa: LOG001 - one that no other test shares
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    yield logger
    handler.close()


def test_a_summary_is_logged_in_the_place_of_a_traceback() -> None:
    def pay() -> None:
        password = "letmein!"
        raise KeyError(password)

    with pytest.raises(KeyError) as raised:
        pay()
    info = (raised.type, raised.value, raised.value.__traceback__)
    record = logging.LogRecord("app", 40, "/app.py", 7, "with %s", ("letmein!",), info)
    summarize(record, "(in shop.pay\nno line of its own)")
    line = Cleaning("%(levelname)s: %(message)s").format(record)
    assert line == f"ERROR: with {HIDDEN} KeyError: '{HIDDEN}' (in shop.pay\\nno line of its own)"


def test_formats_as_the_tutorial_does() -> None:
    record = logging.LogRecord("app", 20, "/app.py", 7, "Grüße %s", ("Zoë",), None)
    assert Cleaning(TUTORIAL).format(record).endswith(" INFO: Grüße Zoë [in /app.py:7]")


def test_messages_pass_the_scrubber(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.info("token=%s and %s", "abcd1234", "the-key-of-the-application")
    assert stream.getvalue() == f"INFO: token={HIDDEN} and {HIDDEN}\n"


def test_tracebacks_look_like_pythons(logger: logging.Logger, stream: io.StringIO) -> None:
    def view() -> None:
        password = "letmein!"
        try:
            __import__("json").loads("{")
        except ValueError as error:
            raise RuntimeError(f"no {password} here") from error

    try:
        view()
    except RuntimeError:
        logger.exception("failed")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["ERROR: failed", "Traceback (most recent call last):"]
    assert '    __import__("json").loads("{")' in lines
    assert "  … 2 in json" in lines
    assert any(line.startswith("json.decoder.JSONDecodeError: Expecting") for line in lines)
    assert "The above exception was the direct cause of the following exception:" in lines
    assert '    raise RuntimeError(f"no {password} here") from error' in lines
    assert lines[-1] == f"RuntimeError: no {HIDDEN} here"


def test_data_that_a_driver_adds_is_left_out(logger: logging.Logger, stream: io.StringIO) -> None:
    text = "duplicate key\nDETAIL:  Key (email)=(susan@example.com) exists.\nHINT:  susan\nend"
    try:
        raise ValueError(text)
    except ValueError as error:
        logger.exception("failed: %s", error)
        logger.error(f"failed: {error}")  # noqa: G004 - as people do
    assert "susan" not in stream.getvalue()
    assert stream.getvalue().count(r"failed: duplicate key\nend") == 2


def test_the_secrets_of_the_request_are_kept_out(
    logger: logging.Logger, stream: io.StringIO, formatter: Cleaning
) -> None:
    formatter.context = Context(form={"password": "letmein!"})
    try:
        raise ValueError("cannot hash letmein!")
    except ValueError:
        logger.exception("failed for letmein!")
    assert "ValueError: cannot hash" in stream.getvalue()
    assert "letmein" not in stream.getvalue(), "not even in the line of source"


def test_other_handlers_see_the_record_as_it_was() -> None:
    error = ValueError("broken")
    info = (type(error), error, None)
    record = logging.LogRecord("app", 40, "/app.py", 7, "a %s", (1,), info)
    assert Cleaning("%(message)s").format(record) == "a 1\nValueError: broken"
    assert (record.msg, record.args, record.exc_info, record.exc_text) == ("a %s", (1,), info, None)


def test_a_failure_to_make_a_line_is_logged_in_its_place() -> None:
    def request_secrets() -> Context:
        raise LookupError("of secrets")

    clean = Cleaner(places=Places(Path("/x")), scrubber=Scrubber(), request_secrets=request_secrets)
    error = ValueError("broken")
    record = logging.LogRecord("app", 40, "/app.py", 7, "a", (), (type(error), error, None))
    assert clean(record).getMessage() == "ValueError, whose traceback raised LookupError"


def record_of(error: BaseException, *arguments: object) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__)
    return logging.LogRecord("app", 40, "/app.py", 7, "failed %s", arguments, info)


def caught() -> ValueError:
    try:
        raise ValueError("broken by letmein!")
    except ValueError as error:
        return error


def reading_of(error: BaseException) -> ExceptionReading:
    reading = ExceptionReading(error, Places(Path(__file__).parent), details=True)
    reading.collector.context(Context(form={"password": "letmein!"}))
    reading.scrub(Scrubber(), [])
    return reading


def test_a_line_after_a_report_is_made_of_what_the_report_read(
    formatter: Cleaning, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = caught()
    formatter.context = Context(form={"password": "letmein!"})
    wanted = formatter.format(record_of(error, "for letmein!"))
    assert "letmein" not in wanted
    record = record_of(error, "for letmein!")
    attach(record, reading_of(error))
    monkeypatch.setattr(record_module, "ExceptionReading", None)
    assert formatter.format(record) == wanted


def test_an_exception_that_was_raised_again_is_read_again(formatter: Cleaning) -> None:
    error = caught()
    reading = reading_of(error)

    def further() -> None:
        raise error

    with pytest.raises(ValueError):
        further()
    record = record_of(error, "")
    attach(record, reading)
    assert (
        "in test_an_exception_that_was_raised_again_is_read_again.<locals>.further"
        in formatter.format(record)
    )


def test_arguments_with_names_may_be_secrets_that_the_report_did_not_know(
    formatter: Cleaning,
) -> None:
    error = caught()
    reading = ExceptionReading(error, Places(Path(__file__).parent), details=True)
    reading.scrub(Scrubber(), [])
    record = record_of(error, {"password": "letmein!"})
    attach(record, reading)
    assert "letmein" not in formatter.format(record)


def test_a_stack_is_scrubbed_too(logger: logging.Logger, stream: io.StringIO) -> None:
    key = "the-key-of-the-application"
    logger.warning("look", stack_info=True)
    assert "test_a_stack_is_scrubbed_too" in stream.getvalue()
    assert key not in stream.getvalue()


def test_a_line_without_an_exception_holds_no_secret_of_the_request(
    logger: logging.Logger, stream: io.StringIO, formatter: Cleaning
) -> None:
    formatter.context = Context(form={"password": ["abcd1234"]})
    logger.warning("no login with %s", "abcd1234")
    logger.warning("no login with %(password)s", {"password": "efgh5678"})
    assert stream.getvalue() == f"WARNING: no login with {HIDDEN}\n" * 2


FORGED = "x\n2026-01-01 00:00:00 INFO: forged\r\x1b[2J\u202e\u2028\x85"


def test_nobody_can_write_lines_of_their_own(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.warning("no page for %s", FORGED)
    error = ValueError(FORGED)
    error.add_note(FORGED)
    logger.error("failed: %s", FORGED, exc_info=error)
    lines = stream.getvalue().split("\n")
    assert not [line for line in lines if line.startswith("2026")]
    assert not any(set(line) & set("\r\x1b\u202e\u2028\x85") for line in lines)
    assert lines[0].endswith(
        r"no page for x\n2026-01-01 00:00:00 INFO: forged\r\x1b[2J\u202e\u2028\x85"
    )
    assert r"  2026-01-01 00:00:00 INFO: forged\r\x1b[2J\u202e\u2028\x85" in lines


def test_ordinary_text_stays(logger: logging.Logger, stream: io.StringIO) -> None:
    logger.warning("Grüße an %s,\t\N{SNAKE}\N{NO-BREAK SPACE}%s", "محمد", "C:\\new")
    assert stream.getvalue() == "WARNING: Grüße an محمد,\t\N{SNAKE}\N{NO-BREAK SPACE}C:\\new\n"
