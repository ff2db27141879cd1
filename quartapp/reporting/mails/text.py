"""The mail as text."""

from collections.abc import Iterator

from quartapp.mail.strings import plain
from quartapp.redact.traceback import ExceptionInfo, Folded, Frame, folded
from quartapp.reporting.alerts.policy import Alert
from quartapp.reporting.mails.summary import RELATIONS, GroupSummary, facts, reason
from quartapp.reporting.report import Report

_NAME = 12


def render(alert: Alert, group: GroupSummary, report: Report | None, link: str) -> str:
    """The text part; lines as long as they are, for the transfer encoding folds them."""
    return plain("\n".join(_lines(alert, group, report, link))) + "\n"


def digest(title: str, note: str, items: list[tuple[str, str, str, str]], left_out: str) -> str:
    """The text of a digest; each item is its kind, title, detail and link ("" for none)."""
    lines = [title, note]
    for kind, heading, detail, link in items:
        lines += ["", f"{kind}  {heading}", f"  {detail}", *([f"  {link}"] if link else [])]
    return plain("\n".join([*lines, "", left_out])).rstrip("\n") + "\n"


def _lines(alert: Alert, group: GroupSummary, report: Report | None, link: str) -> Iterator[str]:
    yield group.title
    if report and (what := _what(report)):
        yield what
    yield ""
    yield reason(alert, group)
    yield ""
    for name, value in facts(group, report):
        yield f"{name + ':':{_NAME}} {value}"
    if link:
        yield f"{'Inbox:':{_NAME}} {link}"
    for info in report.exceptions if report else ():
        yield from _exception(info)
    if link and report:
        yield ""
        yield link


def _what(report: Report) -> str:
    return report.exceptions[0].message if report.exceptions else report.message


def _exception(info: ExceptionInfo) -> Iterator[str]:
    yield ""
    relation = RELATIONS.get(info.relation, info.relation)
    yield f"{relation + ' ' if relation else ''}{info.type}: {info.message}"
    yield from (f"note: {note}" for note in info.notes)
    for call in folded(info.frames):
        yield from _folded(call) if isinstance(call, Folded) else _frame(call)
    if info.left_out:
        yield f"  ({info.left_out} more calls are not shown)"


def _folded(call: Folded) -> Iterator[str]:
    yield f"  … {call.count} in {', '.join(call.packages)}"


def _frame(frame: Frame) -> Iterator[str]:
    yield f"  {frame.file}:{frame.line} in {frame.function}"
    for number, line in enumerate(frame.source, frame.first_line):
        yield f"  {'>' if number == frame.line else ' '}{number:5}  {line}"
    for name, value in frame.variables:
        yield f"          {name} = {value}"
