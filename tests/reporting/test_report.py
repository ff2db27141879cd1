import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartapp.breadcrumbs import Breadcrumb
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.reporting.report import MAX_BYTES, Origin, Report, RequestInfo

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
pairs = st.lists(st.tuples(texts, texts), max_size=4).map(tuple)
library_frames = st.tuples(texts, texts, texts, st.integers(0, 9999)).map(lambda head: Frame(*head))
app_frames = st.builds(
    Frame,
    texts,
    texts,
    texts,
    st.integers(0, 9999),
    st.just(True),
    st.integers(0, 9999),
    st.lists(texts, max_size=3).map(tuple),
    pairs,
)
exceptions = st.builds(
    ExceptionInfo,
    texts,
    texts,
    st.sampled_from(["", "cause", "context", "member"]),
    st.lists(library_frames | app_frames, max_size=5).map(tuple),
    st.integers(0, 99),
    st.lists(texts, max_size=2).map(tuple),
)
reports = st.builds(
    Report,
    id=texts,
    fingerprint=texts,
    time=st.floats(0, 1e10),
    title=texts,
    culprit=texts,
    message=texts,
    exceptions=st.lists(exceptions, max_size=4).map(tuple),
    request=st.none() | st.builds(RequestInfo, texts, texts, texts, texts, pairs),
    extra=pairs,
    origin=st.builds(Origin, versions=st.dictionaries(texts, texts, max_size=3)),
)


@pytest.mark.slow
@given(reports)
def test_comes_back_from_json_as_it_was(report: Report) -> None:
    text = report.to_json()
    assert "\n" not in text
    assert Report.from_json(text) == report


OF_THE_VERSION_BEFORE = """{"exceptions":[{"frames":[["quart/app.py","","handle_request",1649],\
["web/posts.py","","index",12,true,11,["","raise KeyError(name)"],[["name","'zoë'"]]]],\
"type":"KeyError","message":"'zoë'","relation":"","left_out":2,"notes":["a note"]}],"format":1,\
"id":"1","fingerprint":"a887c0de-1","time":7.5,"title":"KeyError in web.posts.index",\
"culprit":"web.posts.index","level":"ERROR","logger":"microblog","message":"","door":"request",\
"request":{"method":"GET","url":"http://localhost/","route":"/","endpoint":"web.index",\
"headers":[["Host","localhost"]]},"user_id":"7","reference":"23456789","extra":[["task","42"]],\
"origin":{"environment":"production","release":"v1","host":"alpha","worker":"1",\
"versions":{"python":"3.11.2"}}}"""


def test_reads_what_the_version_before_wrote() -> None:
    report = Report.from_json(OF_THE_VERSION_BEFORE)
    [info] = report.exceptions
    source, variables = ("", "raise KeyError(name)"), (("name", "'zoë'"),)
    assert info.frames == (
        Frame("quart/app.py", "", "handle_request", 1649),
        Frame("web/posts.py", "", "index", 12, True, 11, source, variables),
    )
    assert (info.left_out, info.notes, report.mechanism) == (2, ("a note",), "request")
    assert report.request == RequestInfo(
        "GET", "http://localhost/", "/", "web.index", (("Host", "localhost"),)
    )
    assert report.origin == Origin("production", "v1", "alpha", "1", {"python": "3.11.2"})


def test_writes_what_the_version_before_reads() -> None:
    """It reads a call from four values or from eight, and every other field by its name."""
    raw = json.loads(Report.from_json(OF_THE_VERSION_BEFORE).to_json())
    frames = raw["exceptions"][0].pop("frames")
    before = json.loads(OF_THE_VERSION_BEFORE)
    assert frames[1] == before["exceptions"][0].pop("frames")[1]
    assert frames[0] == ["quart/app.py", "", "handle_request", 1649, False, 0, [], []]
    assert raw["exceptions"][0].pop("columns") == []  # a name that it does not know
    new = ("person", "trace", "request_id", "breadcrumbs", "former")
    assert [raw.pop(name) for name in new] == ["", "", "", [], []]
    assert raw == before


def test_what_is_no_text_costs_only_its_letters() -> None:
    report = Report("id", "fp", 0.0, "title", logger="a\udcfflogger", message="naïve")
    read = Report.from_json(report.encode())
    assert (read.logger, read.message) == ("a?logger", "naïve")


def huge(text: str, *, frames: int = 60, chain: int = 5, variables: int = 20) -> Report:
    frame = Frame(
        text, text, text, 1, True, 1, (text,) * 6, tuple((text, text) for _ in range(variables))
    )
    columns = tuple((at, 4, 199) for at in range(frames))
    info = ExceptionInfo(text, text * 10, "cause", (frame,) * frames, 0, (text,) * 5, columns)
    return Report(
        id=text,
        fingerprint=text,
        time=0.0,
        title=text,
        culprit=text,
        level=text,
        logger=text,
        message=text * 10,
        exceptions=(info,) * chain,
        request=RequestInfo(text, text, text, text, ((text, text),) * 20),
        user_id=text,
        reference=text,
        trace=text,
        request_id=text,
        breadcrumbs=(Breadcrumb("log", 0.1, text, text, text),) * variables,
        extra=((text, text),) * 20,
        origin=Origin(text, text, text, text, {text: text}),
    )


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.sampled_from(["x", "é", "—", "\U0001f40d", '"', "\\", "\n"]),
    st.sampled_from([1, 20, 200, 1500]),
    st.integers(0, 60),
    st.integers(0, 5),
    st.integers(0, 20),
)
def test_stays_within_its_limit_whatever_is_in_it(
    letter: str, length: int, frames: int, chain: int, variables: int
) -> None:
    report = huge(letter * length, frames=frames, chain=chain, variables=variables)
    text = report.to_json()
    assert len(text.encode()) <= MAX_BYTES
    assert json.loads(text)["format"] == 1
    assert Report.from_json(text).exceptions or not chain


def test_drops_the_oldest_breadcrumbs_first() -> None:
    frame = Frame("a.py", "a", "f", 1, True, 1, ("source",), (("name", "x" * 900),))
    crumbs = tuple(Breadcrumb("sql", 0.1 * at, "SELECT " + "x" * 290) for at in range(50))
    info = ExceptionInfo("E", "message", frames=(frame,) * 50)
    report = Report("id", "fp", 0.0, "title", exceptions=(info,), breadcrumbs=crumbs)
    kept = Report.from_json(report.encode())
    assert kept.exceptions == report.exceptions
    assert kept.breadcrumbs == crumbs[-len(kept.breadcrumbs) :]
    assert 0 < len(kept.breadcrumbs) < 50


def test_drops_the_locals_of_the_outermost_frames_first() -> None:
    def frame(number: int) -> Frame:
        return Frame("a.py", "a", "f", number, True, 1, ("source",), (("name", "x" * 990),))

    info = ExceptionInfo("E", "message", frames=tuple(frame(number) for number in range(60)))
    report = Report("id", "fp", 0.0, "title", exceptions=(info, info))
    kept = Report.from_json(report.to_json())
    has_locals = [bool(frame.variables) for frame in kept.exceptions[0].frames]
    assert True in has_locals
    assert has_locals == sorted(has_locals)
    assert all(frame.source for frame in kept.exceptions[1].frames)
    assert len(report.to_json()) > MAX_BYTES * 0.95, "more was dropped than had to be"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "7", "{}", '{"format":1}', b"\xff"),
        OF_THE_VERSION_BEFORE.replace('"format":1', '"format":2'),
        OF_THE_VERSION_BEFORE.replace("1649", '"a line"'),
    ],
)
def test_refuses_what_is_no_report(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        Report.from_json(text)


def test_is_called_by_the_first_digits_of_its_fingerprint() -> None:
    assert Report("id", "a887c0de-1", 0.0, "title").short == "a887"
