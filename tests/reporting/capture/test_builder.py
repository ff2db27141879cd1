"""Reports of real errors, and of errors with hostile locals."""

import logging
import sys
import time
from collections.abc import AsyncIterator, Callable
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader
from sqlalchemy import ForeignKey, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from quartapp.redact import reading as reading_module
from quartapp.redact.context import Context
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.redact.secret_names import HIDDEN
from quartapp.redact.traceback import Frame
from quartapp.reporting.capture.builder import capture
from quartapp.reporting.report import MAX_BYTES, Origin, Report

PLACES = Places(Path(__file__).parent)
ORIGIN = Origin(release="v1.2-3-gabcdef", host="web1", worker="7", versions={"quart": "0.22"})


def report_of(subject: BaseException | logging.LogRecord, **context: Any) -> Report:
    return capture(
        subject,
        Context(**context),
        now=1000.0,
        places=PLACES,
        origin=ORIGIN,
        scrubber=Scrubber(),
    ).report


def caught(function: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


def locals_of(function: Callable[[], object]) -> dict[str, str]:
    report = report_of(caught(function))
    return dict(innermost(report).variables)


def innermost(report: Report) -> Frame:
    return next(frame for frame in reversed(report.exceptions[0].frames) if frame.in_app)


def test_a_report_says_what_failed_where_and_for_whom() -> None:
    def view() -> None:
        name = "susan"
        raise KeyError(name)

    report = report_of(
        caught(view),
        mechanism="signal",
        method="GET",
        route="/user/<name>",
        endpoint="web.user",
        url="http://localhost/user/susan",
        headers=[("User-Agent", "curl"), ("X-Other", "no")],
        user_id="7",
        reference="ABCD-1234",
        extra={"task": "main"},
    )
    assert report.title == "KeyError in " + report.culprit
    assert report.culprit.endswith("test_a_report_says_what_failed_where_and_for_whom.view")
    assert (report.time, report.user_id, report.reference, report.mechanism) == (
        *(1000.0, "7", "ABCD-1234"),
        "signal",
    )
    assert report.origin == ORIGIN
    assert report.extra == (("task", "'main'"),)
    assert report.request
    assert report.request.route == "/user/<name>"
    assert report.request.headers == (("User-Agent", "curl"),)
    (error,) = report.exceptions
    assert (error.type, error.message) == ("KeyError", "'susan'")
    frame = innermost(report)
    assert frame.variables == (("name", "'susan'"),)
    assert frame.source[frame.line - frame.first_line].strip() == "raise KeyError(name)"


def test_headers_are_read_as_they_were_meant() -> None:
    sent = "Bücherwurm/1.0"
    headers = [("User-Agent", sent.encode().decode("latin-1")), ("Origin", "ü\ud800")]
    report = report_of(ValueError(), url="/", headers=headers)
    assert report.request
    assert report.request.headers == (("User-Agent", sent), ("Origin", "ü\\ud800"))


def test_of_an_object_under_the_name_of_a_secret_the_class_is_shown() -> None:
    def view() -> None:
        session, token, secrets, key = Person(id=7), Colour.RED, {"a": 1}, 1234
        raise ValueError([session, token, secrets, key])

    found = locals_of(view)
    assert found["session"] == f"<{__name__}.Person>", "not even which one"
    assert [found[name] for name in ("token", "secrets", "key")] == [HIDDEN] * 3


def test_library_frames_carry_neither_source_nor_locals() -> None:
    report = report_of(caught(lambda: __import__("json").loads("{")))
    frames = report.exceptions[0].frames
    assert [frame.in_app for frame in frames[-3:]] == [False, False, False]
    assert frames[-1].file == "json/decoder.py"
    assert not any(frame.source or frame.variables for frame in frames if not frame.in_app)


def test_the_chain_begins_with_the_exception_that_escaped() -> None:
    def fail() -> None:
        try:
            raise KeyError("a")
        except KeyError as error:
            error.add_note("on the way")
            raise ValueError("b") from error

    first, second = report_of(caught(fail)).exceptions
    assert (first.type, first.relation) == ("ValueError", "")
    assert (second.type, second.relation, second.notes) == ("KeyError", "cause", ("on the way",))


def test_a_cyclic_chain_ends() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert len(report_of(first).exceptions) == 2


def test_some_members_of_a_group_are_shown() -> None:
    group = ExceptionGroup("tasks", [ValueError(str(number)) for number in range(50)])
    found = report_of(group).exceptions
    assert [info.relation for info in found] == ["", *["member"] * 4]
    assert [info.message for info in found] == ["tasks (50 sub-exceptions)", "0", "1", "2", "3"]


def test_a_record_adds_its_message_and_logger() -> None:
    error = caught(lambda: int("x"))
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("shop.web", 50, __file__, 1, "lost %s", ("it",), info)
    report = report_of(record)
    assert (report.logger, report.level, report.message) == (
        "shop.web",
        "CRITICAL",
        "lost it",
    )
    assert report.title.startswith("ValueError in ")


@pytest.mark.parametrize(
    ("message", "arguments", "title"),
    [
        ("%d%% of %(name)-5.2s are %*d", (1,), "\u2026% of \u2026 are \u2026"),
        ("100% of all", (), "100% of all"),
        ("100% %s", ("of all",), "100% \u2026"),
        ("Lost %s [reference %s]", ("it", "2345678"), "Lost \u2026"),
    ],
)
def test_a_title_has_an_ellipsis_for_what_varies(
    message: str, arguments: tuple[object, ...], title: str
) -> None:
    record = logging.LogRecord("shop.web", 40, __file__, 1, message, arguments, None, "view")
    assert report_of(record).title == title


def test_a_record_alone_is_titled_by_its_words_and_place() -> None:
    record = logging.LogRecord(
        "shop.web", 40, __file__, 1, "no user %d\nat all", (7,), None, "view"
    )
    report = report_of(record)
    assert report.title == "no user \u2026"
    assert report.message == "no user 7\nat all"
    assert report.culprit == "test_builder.view"
    assert report.exceptions == ()


@pytest.mark.parametrize(
    ("message", "arguments", "expected"),
    [
        ("%s and %r", ("a", "b"), "a and 'b'"),
        ("%d %.2f %x", (1, 2.0, 255), "1 2.00 ff"),
        ("%(a)s", ({"a": 1},), "1"),
        ("%s", (ValueError("known"),), "known"),
        ("%d", ("no number",), "%d % tuple"),
        ("%s %s", ("one",), "%s %s % tuple"),
        (ValueError("itself"), (), "itself"),
        ("100%", (), "100%"),
    ],
)
def test_formats_records_as_logging_does(
    message: object, arguments: tuple[object, ...], expected: str
) -> None:
    record = logging.LogRecord("app", 40, __file__, 1, message, arguments, None)
    assert report_of(record).message.startswith(expected.removesuffix(" tuple"))


class Hostile:
    """Records which of its code is run; that code exits or sleeps."""

    asked: list[str] = []

    def __getattribute__(self, name: str) -> object:
        Hostile.asked.append(name)
        sys.exit(name)

    def __repr__(self) -> str:
        Hostile.asked.append("repr")
        time.sleep(60)
        return "hostile"

    __str__ = __repr__

    def __len__(self) -> int:
        Hostile.asked.append("len")
        raise RuntimeError

    def __iter__(self) -> "Hostile":
        Hostile.asked.append("iter")
        return self

    def __eq__(self, other: object) -> bool:
        Hostile.asked.append("eq")
        raise KeyboardInterrupt

    def __hash__(self) -> int:
        return 7

    def __bool__(self) -> bool:
        Hostile.asked.append("bool")
        raise MemoryError


class HostileDict(dict[str, object]):
    def items(self) -> Any:
        raise RuntimeError

    __iter__ = __len__ = __repr__ = keys = items


class HostileStr(str):
    def __len__(self) -> int:
        raise RuntimeError

    __repr__ = __str__ = __getitem__ = __len__  # type: ignore[assignment]


class HostileMeta(type):
    def __getattribute__(cls, name: str) -> object:
        if name in ("__module__", "__qualname__", "__name__", "__dict__", "mro", "__mro__"):
            Hostile.asked.append(name)
            raise RuntimeError
        return super().__getattribute__(name)


class Meta(metaclass=HostileMeta):
    pass


class HostileNamespace:
    @property
    def __dict__(self) -> dict[str, object]:  # type: ignore[override]
        Hostile.asked.append("__dict__")
        raise RuntimeError


class Colour(Enum):
    RED = "red"


def test_runs_no_code_of_a_hostile_local() -> None:
    def view() -> None:
        hostile = Hostile()
        inside = [hostile, {"key": hostile, hostile: 1}, (hostile,), {hostile}]
        strange = HostileDict(a=1, password="letmein")
        text = HostileStr("readable")
        meta = Meta()
        space = HostileNamespace()
        raise ValueError(len([strange, text, meta, space, *inside]))

    Hostile.asked.clear()
    start = time.monotonic()
    error = caught(view)
    found = dict(innermost(report := report_of(error)).variables)
    assert time.monotonic() - start < 30  # its repr takes a minute
    assert Hostile.asked == []
    name = f"<{__name__}.Hostile>"
    assert found["hostile"] == name
    assert found["inside"].startswith(f"[{name}, {{'key': {name}, {name}: 1}}, ({name},)")
    assert found["strange"] == f"HostileDict {{'a': 1, 'password': {HIDDEN}}}"
    assert found["text"] == "'readable'"
    assert found["meta"] == f"<{__name__}.Meta>"
    assert "letmein" not in report.to_json()


def test_runs_no_code_of_a_hostile_log_argument() -> None:
    Hostile.asked.clear()
    record = logging.LogRecord("app", 40, __file__, 1, "lost %s %r", (Hostile(), Hostile()), None)
    assert report_of(record).message == f"lost <{__name__}.Hostile> <{__name__}.Hostile>"
    assert Hostile.asked == []


@pytest.mark.parametrize("reaction", [SystemExit, RecursionError, ValueError])
def test_an_exception_whose_text_raises_is_still_shown(reaction: type[BaseException]) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise reaction

    (info,) = report_of(Silent()).exceptions
    assert info.message.endswith(f"whose text raised {reaction.__name__}>")


@pytest.mark.slow
def test_size_costs_nothing() -> None:
    def view() -> None:
        text, data = "x" * 50_000_000, b"y" * 50_000_000
        numbers, number = list(range(5_000_000)), 1 << 10_000_000
        nested: list[object] = []
        nested.append(nested)
        raise ValueError(len(text) + len(data) + len(numbers) + number.bit_length())

    error = caught(view)
    start = time.thread_time()
    report = report_of(error)
    # takes microseconds if nothing is copied
    assert time.thread_time() - start < 0.5
    found = dict(innermost(report).variables)
    assert found["text"] == "'" + "x" * 199 + "…"
    assert found["data"].startswith("b'yyy")
    assert found["numbers"].startswith("[0, 1, 2,")
    assert found["numbers"].endswith("… 4999980 more]")
    assert found["number"] == "<int, 10000001 bits>"
    assert found["nested"] == "[[[…]]]"
    assert len(report.to_json().encode()) <= MAX_BYTES


def test_values_of_pythons_own_types_are_shown() -> None:
    def view() -> None:
        a, b, c, d = None, 1.5, Path("/tmp/ü"), Colour.RED
        e, f, g = (1,), frozenset({2}), view
        h, i, j = Enum, MappingProxyType({"a": 1}), {"next": ("a", "b")}
        k, token, secret = b"\xff", None, ""
        raise ValueError(str([a, b, c, d, e, f, g, h, i, j, k, token, secret])[:1])

    found = locals_of(view)
    expected = {
        "a": "None",
        "b": "1.5",
        "c": "'/tmp/ü'",
        "d": f"{__name__}.Colour.RED",
        "e": "(1,)",
        "f": "frozenset {2}",
        "h": "<class enum.Enum>",
        "i": "<mappingproxy>",
        "j": "{'next': ('a', 'b')}",
        "k": "b'\\xff'",
        "token": "None",
        "secret": "''",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["g"].startswith("<function test_values_of")


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    posts: Mapped[list["Post"]] = relationship()


class Post(Base):
    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


@pytest.fixture
async def engine() -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


async def test_reads_rows_without_loading_anything(engine: AsyncEngine) -> None:
    statements: list[str] = []
    async with AsyncSession(engine) as session:
        person = Person(name="Süß")
        session.add(person)
        await session.commit()  # now every attribute is expired

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def count(*arguments: object) -> None:
            statements.append(str(arguments[2]))

        async def view(row: Person) -> None:
            raise LookupError

        with pytest.raises(LookupError) as expired:
            await view(person)
        first = innermost(report_of(expired.value))
        await session.refresh(person, ["id", "name"])
        statements.clear()
        with pytest.raises(LookupError) as loaded:
            await view(person)
        second = innermost(report_of(loaded.value))
    assert first.variables == (("row", f"<{__name__}.Person>"),)
    assert second.variables == (("row", f"<{__name__}.Person id=1>"),)
    assert statements == []


async def test_a_statement_keeps_its_sql_and_loses_its_parameters(engine: AsyncEngine) -> None:
    async def register(name: str) -> None:
        async with AsyncSession(engine) as session:
            session.add(Person(name=name))
            await session.commit()

    await register("susan@example.com")
    with pytest.raises(IntegrityError) as caught:
        await register("susan@example.com")
    caught.value.__traceback__ = None  # the name is a local of the view, and may be shown there
    text = report_of(caught.value).to_json()
    assert "INSERT INTO person (name) VALUES (?)" in text
    assert "UNIQUE constraint failed: person.name" in text
    assert "susan" not in text


def down(depth: int) -> None:
    if not depth:
        raise ValueError
    down(depth - 1)


def test_too_many_frames_are_left_out_of_the_middle() -> None:
    (info,) = report_of(caught(lambda: down(200))).exceptions
    assert len(info.frames) == 60
    assert info.left_out == 200 + 3 - 60
    assert [frame.variables for frame in info.frames[2:4]] == [
        (("depth", "200"),),
        (("depth", "199"),),
    ]
    assert info.frames[-1].variables == (("depth", "0"),)


def widening(depth: int) -> None:
    large, larger, largest = [["x" * 90] * 9] * 9, ["y" * 190] * 9, ["z" * 190] * 9
    if not depth:
        raise ValueError(len([*large, larger, largest]))
    widening(depth - 1)


def test_locals_without_room_are_those_of_the_outermost_frames() -> None:
    frames = report_of(caught(lambda: widening(200))).exceptions[0].frames
    shown = [bool(frame.variables) for frame in frames]
    assert shown[-1]
    assert not shown[10]
    assert sum(len(value) for frame in frames for _, value in frame.variables) < MAX_BYTES + 2000
    assert [frame.line for frame in frames[2:10]] == [frames[2].line] * 8
    assert frames[-1].line != frames[2].line


def test_shows_twenty_locals_and_reads_the_others_for_secrets() -> None:
    names = [f"name_{number}" for number in range(30)]
    code = "".join(f"    {name} = 0\n" for name in names)
    space: dict[str, Any] = {}
    exec(f"def view():\n{code}    api_key = 'abcd1234'\n    raise ValueError(api_key)", space)
    view = space["view"]
    view.__code__ = view.__code__.replace(co_filename=str(Path(__file__).parent / "made.py"))
    report = report_of(caught(view))
    assert [name for name, _ in innermost(report).variables] == names[:20]
    assert report.exceptions[0].message == HIDDEN


def test_text_is_unicode_that_every_database_takes() -> None:
    def view() -> None:
        text = "Grüße\0 \ud800 \U0001f40d"
        raise ValueError(text)

    report = report_of(caught(view), url="http://localhost/\udcff?q=\0")
    text = report.to_json()
    text.encode()
    assert "\\u0000" not in text
    assert "\0" not in text
    assert report.exceptions[0].message == "Grüße\\x00 \\ud800 \U0001f40d"


def test_a_capture_that_fails_leaves_a_small_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "message_of", lambda error: 1 / 0)
    report = report_of(ValueError(), mechanism="signal", reference="ABCD")
    assert report.title == "ValueError, whose capture raised ZeroDivisionError"
    assert (report.reference, report.mechanism, report.origin) == ("ABCD", "signal", ORIGIN)
    assert report.fingerprint


def test_a_template_is_a_frame_of_the_application(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>{{ greeting }}\n{{ person.name.first }}\n", "utf-8")
    template = Environment(loader=FileSystemLoader(tmp_path)).get_template("page.html")
    error = caught(lambda: template.render(greeting="Grüße", person={}, csrf_token="abcd1234"))
    frame = innermost(report_of(error))
    assert (frame.file, frame.line) == ("page.html", 2)
    assert frame.source == ("<p>{{ greeting }}", "{{ person.name.first }}")
    assert ("greeting", "'Grüße'") in frame.variables
    assert ("csrf_token", HIDDEN) in frame.variables
