import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartapp.redact.frame import Frame
from quartapp.reporting.report import MAX_BYTES, ExceptionInfo, Origin, Report, RequestInfo

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


@given(reports)
def test_comes_back_from_json_as_it_was(report: Report) -> None:
    text = report.to_json()
    assert "\n" not in text
    assert Report.from_json(text) == report


def huge(text: str, *, frames: int = 60, chain: int = 5, variables: int = 20) -> Report:
    frame = Frame(
        text, text, text, 1, True, 1, (text,) * 6, tuple((text, text) for _ in range(variables))
    )
    info = ExceptionInfo(text, text * 10, "cause", (frame,) * frames, 0, (text,) * 5)
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
        extra=((text, text),) * 20,
        origin=Origin(text, text, text, text, {text: text}),
    )


@settings(deadline=None, max_examples=30)
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
    "text", ["", "{", "[]", "null", "7", "{}", '{"format":1}', '{"format":2}', b"\xff"]
)
def test_refuses_what_is_no_report(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        Report.from_json(text)


def test_is_called_by_the_first_digits_of_its_fingerprint() -> None:
    assert Report("id", "a887c0de-1", 0.0, "title").short == "a887"
