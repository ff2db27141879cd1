"""A failure as a response body: the debugger's page, problem+json, or plain text."""

import json
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from quartapp.debugger.page.source import source_lines
from quartapp.debugger.page.store import Failure

PREFIX = "/__debugger__"
"""Requests below this path are answered by the debugger and not by the application."""

FOLDER = Path(__file__).parent

Form = Literal["html", "problem", "text"]

_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals["source_lines"] = source_lines


def wanted_form(accept: str) -> Form:
    """The form for a client's Accept header: HTML only if it is named, then JSON, else text."""
    accept = accept.lower()
    if "text/html" in accept or "application/xhtml+xml" in accept:
        return "html"
    return "problem" if "json" in accept else "text"


def render_page(failure: Failure, *, secret: str | None, unlocked: bool) -> str:
    """The page of one failure.

    `secret` authorizes the page's commands; None makes a page without prompts. `unlocked` is
    whether the browser has already given the PIN.
    """
    return _environment.get_template("page.html").render(
        failure=failure,
        first=failure.sections[0],
        opened=_opened(failure),
        prefix=PREFIX,
        prompt=secret is not None,
        secret=secret or "",
        unlocked=unlocked,
    )


def render_problem(failure: Failure, link: str) -> str:
    """A problem of RFC 9457 with the traceback's lines and the link as extensions."""
    first = failure.sections[0]
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": f"{first.kind}: {first.message}",
        "debugger": link,
        "traceback": failure.plain.splitlines(),
    }
    return json.dumps(problem, indent=2) + "\n"


def render_text(failure: Failure, link: str) -> str:
    return f"{failure.plain}\nDebugger: {link}\n"


def _opened(failure: Failure) -> set[int]:
    """The frames whose source is open at first: in each section the application's last one, or
    the last one of all where the application has none."""
    opened = set()
    for section in failure.sections:
        own = [frame for frame in section.frames if not frame.is_library]
        if shown := own or section.frames:
            opened.add(shown[-1].number)
    return opened
