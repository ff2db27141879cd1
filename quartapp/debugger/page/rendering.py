"""A failure as a response body: the debugger's page, problem+json, Markdown or plain text."""

import json
import logging
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from quartapp.debugger.page.editor import editor_link
from quartapp.debugger.page.source import source_lines
from quartapp.debugger.page.store import Failure
from quartapp.debugger.page.text import clean

_logger = logging.getLogger(__name__)

PREFIX = "/__debugger__"
"""Requests below this path are answered by the debugger and not by the application."""

FOLDER = Path(__file__).parent

Form = Literal["html", "problem", "markdown", "text"]

_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals |= {"source_lines": source_lines, "editor_link": editor_link}
_environment.filters["clean"] = clean
_environment.filters["milliseconds"] = lambda seconds: f"{seconds * 1000:.1f} ms"


def page_template(name: str) -> Template:
    """A template of this folder."""
    return _environment.get_template(name)


def wanted_form(accept: str) -> Form:
    """The form for a client's Accept header: HTML only if it is named, then Markdown, then JSON,
    else text."""
    accept = accept.lower()
    if "text/html" in accept or "application/xhtml+xml" in accept:
        return "html"
    if "text/markdown" in accept:
        return "markdown"
    return "problem" if "json" in accept else "text"


def render_page(failure: Failure, *, secret: str | None, unlocked: bool, editor: str = "") -> str:
    """The page of one failure.

    `secret` authorizes the page's commands; None makes a page without prompts. `unlocked` is
    whether the browser has already given the PIN. `editor` is the pattern of links to an editor.
    """
    details, markdown = _details(failure)
    parts = [
        ("request", "Request", details and details.request),
        ("template", "Template variables", details and details.templates),
        ("sql", "SQL statements", details and details.statements),
        ("log", "Log", details and details.log),
        ("text", "Plain text", True),
        ("markdown", "Markdown", markdown),
    ]
    return page_template("page.html").render(
        failure=failure,
        editor=editor,
        details=details,
        markdown=markdown,
        parts=[(id, title) for id, title, found in parts if found],
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


def render_markdown(failure: Failure) -> str:
    """See `quartapp.debugger.page.markdown`; plain text if that fails."""
    return _details(failure)[1] or failure.plain


def _details(failure: Failure) -> tuple[Any, str]:
    """What surrounds the error, and all as Markdown; None and "" if that cannot be read."""
    # Not at the top: redact may be what the developer has just broken, and the page of that error
    # must be shown.
    try:
        from quartapp.debugger.page import details, markdown

        found = details.details_of(failure)
        return found, markdown.render_markdown(failure, found)
    except Exception:
        _logger.exception("The debugger failed to read the details of an error.")
        return None, ""


def _opened(failure: Failure) -> set[int]:
    """The frames whose source is open at first: in each section the application's last one, or
    the last one of all where the application has none."""
    opened = set()
    for section in failure.sections:
        own = [frame for frame in section.frames if not frame.is_library]
        if shown := own or section.frames:
            opened.add(shown[-1].number)
    return opened
