"""An error as Markdown, as a person pastes it into a tracker: short, and without secrets."""

import linecache
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from quartapp.debugger.page.details import Details, Table
from quartapp.debugger.page.frames import Frame, Section
from quartapp.debugger.page.store import Failure
from quartapp.debugger.page.text import bounded, clean
from quartapp.redact.markdown import code, fenced, joined
from quartapp.redact.scrub import Scrubber, cut

MAX_BYTES = 8000

_MAX_MESSAGE = 1000
_MAX_FRAMES = 20
"""Frames of one exception."""

_MAX_LINE = 200
_PACKAGES = ("quart", "flask", "werkzeug", "jinja2", "sqlalchemy", "hypercorn", "quartapp")
_HEADERS = frozenset({"accept", "accept-language", "content-length", "content-type", "user-agent"})
"""The header fields that explain errors. A tracker is read by more people than a terminal."""

_NOT_SHOWN = frozenset({"Session"})


def render_markdown(failure: Failure, details: Details) -> str:
    """The exception with its chain, the application's frames, versions, and the request.

    Of a long one the first MAX_BYTES bytes of whole blocks are there.
    """
    first = failure.sections[0]
    where = Scrubber().clean([failure.where], secrets=details.secrets)[0]
    return joined(
        [
            f"# {code(first.kind)} in {code(cut(where, _MAX_LINE))}",
            *[_exception(section, details.secrets) for section in failure.sections],
            _versions(),
            *[_table(table) for table in details.request if table.title not in _NOT_SHOWN],
        ],
        MAX_BYTES,
    )


def _exception(section: Section, secrets: Iterable[str]) -> str:
    frames = [frame for frame in section.frames if not frame.is_library] or section.frames[-1:]
    shown = frames[-_MAX_FRAMES:]
    source = [_line(frame) for frame in shown]
    (message,), lines = Scrubber().clean_with_source(
        [bounded(section.message, _MAX_MESSAGE)], source, secrets=secrets
    )
    text = []
    if section.relation:
        text += [f"## {code(section.kind)} {section.relation}"]
    text += [fenced(message)] if message else []
    if len(shown) < len(frames):
        text += [f"{len(frames) - len(shown)} frames before these:"]
    calls = [
        f"{frame.place}:{frame.line}, in {frame.function}\n    {line}"
        for frame, line in zip(shown, lines, strict=True)
    ]
    return "\n\n".join([*text, fenced("\n".join(calls))] if calls else text)


def _line(frame: Frame) -> str:
    line = linecache.getline(frame.filename, frame.line, frame.frame.f_globals)
    return clean(cut(line.strip(), _MAX_LINE))


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        if name in sys.modules:
            try:
                found.append(f"{name} {version(name)}")
            except PackageNotFoundError:
                continue
    return f"{', '.join(found)}; {platform.system()}"


def _table(table: Table) -> str:
    rows = [
        f"{name}: {cut(value, _MAX_LINE)}"
        for name, value in table.rows
        if table.title != "Headers" or name.lower() in _HEADERS
    ]
    return f"## {table.title}\n\n{fenced(chr(10).join(rows))}" if rows else ""
