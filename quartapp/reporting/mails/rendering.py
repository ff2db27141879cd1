"""The text and the HTML of a mail, from templates."""

from pathlib import Path

from quartapp.mail import message
from quartapp.mail.message import templates
from quartapp.mail.strings import moment
from quartapp.redact.traceback import folded
from quartapp.reporting.mails import summary

_environment = templates(Path(__file__).parent / "templates")
_environment.globals.update(
    detail=summary.detail,
    done_before=summary.done_before,
    facts=summary.facts,
    folded=folded,
    label=summary.label,
    message_of=summary.message_of,
    moment=moment,
    reason=summary.reason,
    relation=summary.relation,
)


def render(name: str, **values: object) -> str:
    """A template with these values, as lines without invisible characters."""
    return message.render(_environment, name, **values)
