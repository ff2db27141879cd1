"""The text and the HTML of a mail, from templates."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from quartapp.mail.strings import plain
from quartapp.redact.traceback import folded
from quartapp.reporting.mails import summary

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)
_environment.globals.update(
    detail=summary.detail,
    facts=summary.facts,
    folded=folded,
    label=summary.label,
    message_of=summary.message_of,
    reason=summary.reason,
    relation=summary.relation,
)


def render(name: str, **values: object) -> str:
    """A template with these values, as lines without invisible characters.

    Lines are not wrapped: the transfer encoding folds them.
    """
    return plain(_environment.get_template(name).render(values))
