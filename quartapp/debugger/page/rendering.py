"""A failure as a response body: the debugger's page, problem+json, or plain text."""

import json
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from quartapp.debugger.page.source import source_lines
from quartapp.debugger.page.store import Kept

PREFIX = "/__debugger__"
"""Under this path the development server answers for the debugger, not for the application."""

FOLDER = Path(__file__).parent

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

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


def render_page(kept: Kept, *, secret: str | None, unlocked: bool) -> str:
    """The page of one failure.

    `secret` authorizes the page's commands; None makes a page without prompts. `unlocked` is
    whether the browser has already given the PIN.
    """
    return _environment.get_template("page.html").render(
        kept=kept,
        first=kept.sections[0],
        opened=_opened(kept),
        prefix=PREFIX,
        prompt=secret is not None,
        secret=secret or "",
        unlocked=unlocked,
    )


def render_problem(kept: Kept, link: str) -> str:
    """A problem of RFC 9457 with the traceback's lines and the link as extensions."""
    first = kept.sections[0]
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": f"{first.kind}: {first.message}",
        "debugger": link,
        "traceback": kept.plain.splitlines(),
    }
    return json.dumps(problem, indent=2) + "\n"


def render_text(kept: Kept, link: str) -> str:
    return f"{kept.plain}\nDebugger: {link}\n"


def _opened(kept: Kept) -> set[int]:
    """The frames whose source is shown at once: of each section the last of the application."""
    opened = set()
    for section in kept.sections:
        own = [frame for frame in section.frames if not frame.is_library]
        if shown := own or section.frames:
            opened.add(shown[-1].number)
    return opened
