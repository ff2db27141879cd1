"""One error as Markdown, as a person pastes it into a tracker or hands it to an assistant; pure."""

from collections.abc import Iterable, Sequence

from quartapp.inbox.one_view import occurrence_facts, request_facts
from quartapp.inbox.text import number_of_people, one_line, visible
from quartapp.mail.strings import moment
from quartapp.redact.markdown import code, fenced, joined
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.reporting.mails.summary import done_before, message_of, relation, times
from quartapp.reporting.queries.detail import Group
from quartapp.reporting.report import Report

MAX_BYTES = 4000

_MESSAGE = 600
_CALLS = 1400
_CALLS_OF_CAUSE = 500
_ROWS = 500
_LINE = 160
"""The most bytes of each: of the first exception's message, its calls, and so on."""


def render_markdown(group: Group, report: Report | None, state: str) -> str:
    """The most useful first, and at most MAX_BYTES of UTF-8; what does not fit is left out whole.

    No text of the error can be markup: each is a span or a block of code.
    """
    people = f"{number_of_people(group.people)} {'person' if group.people == 1 else 'people'}"
    blocks = [
        f"# {_span(group.title, 240)}",
        f"{state.capitalize()}: {times(group.count)}, last {moment(group.last_seen.timestamp())},"
        f" first {moment(group.first_seen.timestamp())}; {people}."
        f" Group {code(group.short)}, id {group.id}.",
    ]
    if report is None:
        return joined([*blocks, _block(group.message, _MESSAGE)], MAX_BYTES)
    facts = dict(occurrence_facts(report))
    known = [
        f"{name} {_span(facts[name], 80)}"
        for name in ("Release", "Reference", "Environment", "Host", "Trace")
        if name in facts
    ]
    blocks.append("; ".join(known))
    for place, info in enumerate(report.exceptions):
        blocks += _exception(info, _CALLS_OF_CAUSE if place else _CALLS)
    if not report.exceptions:
        blocks.append(_block(message_of(report), _MESSAGE))
    blocks.append(_rows("Request", request_facts(report)))
    blocks.append(_rows("Before the error, the last first", reversed(done_before(report))))
    blocks.append(_rows("Extra", report.extra))
    blocks.append(_rows("Versions", [("Versions", facts.get("Versions", ""))]))
    return joined(blocks, MAX_BYTES)


def _exception(info: ExceptionInfo, limit: int) -> Iterable[str]:
    words = relation(info)
    if words == info.relation:  # none that is known
        words = _span(words, 40)
    heading = f"{words} {_span(info.type, 120)}".strip()
    yield f"## {heading[:1].upper()}{heading[1:]}"
    if info.message:
        yield _block(info.message, _MESSAGE)
    columns = {at: (start, end) for at, start, end in info.columns}
    own = [at for at, frame in enumerate(info.frames) if frame.in_app]
    shown: list[str] = []
    for at in reversed(own or [len(info.frames) - 1] if info.frames else []):
        lines = _call(info.frames[at], columns.get(at, ()))
        if _size([*lines, *shown]) > limit:
            break
        shown = [*lines, *shown]
    if shown:
        yield fenced("\n".join(shown))


def _call(frame: Frame, columns: Sequence[int]) -> list[str]:
    """A call with the lines around it, the current one and its expression marked."""
    lines = [one_line(f"{frame.file}:{frame.line}, in {frame.function}", _LINE)]
    for number, text in enumerate(frame.source, start=frame.first_line):
        if abs(number - frame.line) > 2:
            continue
        sign = ">" if number == frame.line else " "
        lines.append(f"{sign}{number:5}  {_cut(text, _LINE)}".rstrip())
        if number == frame.line and columns and text.isascii() and "\t" not in text:
            start, end = min(columns[0], _LINE), min(columns[1], _LINE)
            lines.append(" " * (8 + start) + "^" * (end - start))
    return lines


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Names and values as a block, as many as fit, beginning with the first."""
    lines: list[str] = []
    for name, value in rows:
        line = f"{one_line(name, 40)}: {one_line(value, _LINE)}"
        if value and _size([*lines, line]) <= _ROWS:
            lines.append(line)
    return f"## {title}\n\n{fenced(chr(10).join(lines))}" if lines else ""


def _block(text: str, limit: int) -> str:
    return fenced(_cut(text, limit)) if text.strip() else ""


def _span(text: str, limit: int) -> str:
    return code(_cut(" ".join(text.split()), limit))


def _cut(text: str, limit: int) -> str:
    """The beginning of a text, made visible, in at most `limit` bytes and an ellipsis."""
    text = visible(text[: limit + 1])
    data = text.encode("utf-8", "replace")
    return text if len(data) <= limit else data[:limit].decode("utf-8", "ignore") + "…"


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)
