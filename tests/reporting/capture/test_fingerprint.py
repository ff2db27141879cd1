import importlib
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from quartapp.redact.places import Places
from quartapp.reporting.capture.fingerprint import VERSION, fingerprint

PLACES = Places(Path(__file__).parent)


def caught(function: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


def of(function: Callable[[], object]) -> str:
    return fingerprint(caught(function), PLACES)


def missing(name: str) -> object:
    table: dict[str, int] = {}
    return table[name]


def test_is_a_digest_with_its_version() -> None:
    digits, _, version = of(lambda: missing("a")).partition("-")
    assert len(digits) == 32
    assert int(digits, 16)
    assert version == str(VERSION)


def test_is_the_same_on_every_machine() -> None:
    # if this value changes, all known errors get new groups: increment VERSION as well
    error = ValueError("no traceback")
    assert fingerprint(error, PLACES) == "fe58e96639d97cbea60738dd310e31a1-1"


def test_neither_message_nor_line_distinguishes_errors() -> None:
    def here(name: str) -> object:
        if name == "a":
            return missing("a")
        return missing("b")

    assert of(lambda: here("a")) == of(lambda: here("b"))


def test_type_and_functions_distinguish_errors() -> None:
    def other(name: str) -> object:
        return missing(name)

    def wrong() -> object:
        return int("x")

    found = {of(lambda: missing("a")), of(lambda: other("a")), of(wrong)}
    assert len(found) == 3


def test_a_recursion_is_the_same_at_any_depth() -> None:
    def down(depth: int) -> object:
        return down(depth - 1) if depth else missing("a")

    assert of(lambda: down(3)) == of(lambda: down(300))


def test_the_cause_counts_and_a_suppressed_context_does_not() -> None:
    def fail(error: Exception, cause: Exception | None) -> None:
        try:
            missing("a")
        except KeyError:
            raise error from cause

    plain = of(lambda: fail(ValueError(), None))
    caused = of(lambda: fail(ValueError(), KeyError()))
    other = of(lambda: fail(ValueError(), OSError()))
    assert len({plain, caused, other}) == 3


def test_members_of_a_group_come_in_any_order_and_number() -> None:
    def raising(*errors: Exception) -> Callable[[], None]:
        def fail() -> None:
            raise ExceptionGroup("some", errors)

        return fail

    first = of(raising(ValueError("a"), KeyError("b")))
    assert of(raising(KeyError("x"), ValueError("y"), KeyError("z"))) == first
    assert of(raising(KeyError("x"))) != first


def test_an_exception_may_choose() -> None:
    class Chosen(Exception):
        def __init__(self, name: object) -> None:
            self.__fingerprint__ = name

    def fail(name: object) -> Callable[[], None]:
        def inner() -> None:
            raise Chosen(name)

        return inner

    assert of(fail("a")) == fingerprint(Chosen("a"), PLACES)
    assert of(fail("a")) != of(fail("b"))
    assert of(fail(1)) == of(fail(2)), "only a str can choose"


def test_a_hostile_exception_still_has_a_fingerprint() -> None:
    class Hostile(Exception):
        @property
        def __fingerprint__(self) -> str:
            raise RuntimeError

        def __getattribute__(self, name: str) -> object:
            if name.startswith("__fing"):
                raise RuntimeError
            return super().__getattribute__(name)

    assert fingerprint(Hostile(), PLACES)


def test_without_application_frames_the_module_that_raised_counts() -> None:
    nowhere = Places(Path("/nowhere"))

    def bare(places: Places, function: Callable[[], object]) -> str:
        error = caught(function)
        assert error.__traceback__
        error.__traceback__ = error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]
        return fingerprint(error, places)

    decode = bare(nowhere, lambda: __import__("json").loads("{"))
    assert decode == bare(nowhere, lambda: __import__("json").loads("["))
    assert decode != fingerprint(ValueError(), nowhere)


def record(
    message: object, *args: object, line: int = 1, name: str = "quartapp"
) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, line, message, args, None, "view")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (record("user %s", 1, line=1), record("user %s", 2, line=9)),
        (record("user 17 has no 'a'"), record("user 4 has no 'b'")),
        (record("lost <Task 0x7f00a1>"), record("lost <Task 0x7f00b2>")),
    ],
)
def test_records_of_one_statement_are_the_same(
    first: logging.LogRecord, second: logging.LogRecord
) -> None:
    assert fingerprint(first, PLACES) == fingerprint(second, PLACES)


def test_records_of_other_statements_are_not() -> None:
    records = [record("a"), record("b"), record("a", name="asyncio"), record(ValueError("a"))]
    assert len({fingerprint(each, PLACES) for each in records}) == 4


def test_a_record_with_an_exception_has_the_fingerprint_of_the_exception() -> None:
    error = caught(lambda: missing("a"))
    with_error = record("failed")
    with_error.exc_info = (type(error), error, error.__traceback__)
    assert fingerprint(with_error, PLACES) == fingerprint(error, PLACES)


def test_lone_surrogates_are_no_obstacle() -> None:
    assert fingerprint(record("\ud800"), PLACES)


@pytest.mark.parametrize(
    ("module", "former"),
    [
        ("quartapp.database.drivers.driver", "quartapp.database.onehop"),
        ("quartapp.database.drivers.onehop", "quartapp.database.onehop"),
        ("quartapp.flasklike.dispatch", "quartapp.flasklike.handling"),
    ],
)
def test_a_module_that_moved_keeps_its_groups(module: str, former: str) -> None:
    importlib.import_module(module)
    assert _raised_in(module) == _raised_in(former)
    assert _raised_in(module) != _raised_in("quartapp.database.elsewhere")


def _raised_in(module: str) -> str:
    """The fingerprint of an error in code without a file, in a module of this name."""
    with pytest.raises(ZeroDivisionError) as raised:
        exec(compile("1 / 0", "<driver>", "exec"), {"__name__": module})
    return fingerprint(raised.value.with_traceback(raised.tb.tb_next), PLACES)
