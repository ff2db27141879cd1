"""The mail as HTML: no script, no image, no style sheet from elsewhere; readable without styles.

Styles stand on the elements, as several readers of mails drop a style sheet.
"""

from collections.abc import Iterator
from html import escape

from quartapp.mail.strings import plain
from quartapp.redact.traceback import ExceptionInfo, Folded, Frame, folded
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.mails.summary import RELATIONS, GroupSummary, facts, label, reason
from quartapp.reporting.report import Report

_COLOURS = {Kind.OVER: "#1a7f37", Kind.NEW: "#b42318", Kind.REGRESSION: "#b42318"}
_OTHER_COLOUR = "#b54708"
_SANS = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_MUTED = "color:#57606a"


def render(alert: Alert, group: GroupSummary, report: Report | None, link: str) -> str:
    """The HTML part: a whole document."""
    colour = _COLOURS.get(alert.kind, _OTHER_COLOUR)
    what = (report.exceptions[0].message if report.exceptions else report.message) if report else ""
    body = [
        f'<p style="margin:0 0 8px">{_badge(label(alert), colour)}'
        f' <span style="{_MUTED}">#{_text(group.short)}</span></p>',
        f'<h1 style="margin:0 0 6px;font-size:20px;line-height:1.3">{_text(group.title)}</h1>',
        _block(what, "margin:0 0 12px;color:#1f2328") if what else "",
        f'<p style="margin:0 0 12px">{_text(reason(alert, group))}</p>',
        _table(facts(group, report)),
        _button(link, colour) if link else "",
        *(part for info in (report.exceptions if report else ()) for part in _exception(info)),
    ]
    return _page(group.title, "\n".join(filter(None, body)))


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(title)}</title></head>\n"
        '<body style="margin:0;padding:16px;background:#f6f8fa">\n'
        '<div style="max-width:760px;margin:0 auto;padding:20px 24px;background:#fff;'
        "color:#1f2328;border:1px solid #d0d7de;border-radius:8px;"
        f'font-size:14px;line-height:1.5;overflow-wrap:anywhere;{_SANS}">\n'
        f"{body}\n</div></body></html>\n"
    )


def digest(title: str, note: str, items: list[tuple[str, str, str, str]], left_out: str) -> str:
    """The document of a digest; each item is its kind, title, detail and link ("" for none)."""
    rows = "\n".join(_row(*item) for item in items)
    return _page(
        title,
        f'<h1 style="margin:0 0 6px;font-size:20px">{_text(title)}</h1>\n<p>{_text(note)}</p>\n'
        f'<table style="border-collapse:collapse">\n{rows}\n</table>\n<p>{_text(left_out)}</p>',
    )


def _row(kind: str, title: str, detail: str, link: str) -> str:
    heading = f'<a href="{_text(link)}">{_text(title)}</a>' if link else _text(title)
    return (
        f'<tr><td style="padding:6px 12px 6px 0;vertical-align:top">'
        f"{_badge(kind, _OTHER_COLOUR)}</td>"
        f'<td style="padding:6px 0"><b>{heading}</b><br>'
        f'<span style="{_MUTED}">{_text(detail)}</span></td></tr>'
    )


def _text(text: str) -> str:
    return escape(plain(text))


def _badge(text: str, colour: str) -> str:
    return (
        f'<span style="display:inline-block;padding:1px 8px;border-radius:4px;color:#fff;'
        f'background:{colour};font-weight:600;font-size:12px">{_text(text)}</span>'
    )


def _button(link: str, colour: str) -> str:
    return (
        f'<p style="margin:16px 0"><a href="{_text(link)}" style="display:inline-block;'
        f"padding:8px 16px;border-radius:6px;background:{colour};color:#fff;font-weight:600;"
        'text-decoration:none">Open in the inbox</a></p>'
    )


def _block(text: str, style: str = "") -> str:
    return f'<pre style="white-space:pre-wrap;font-size:13px;{_MONO};{style}">{_text(text)}</pre>'


def _table(pairs: list[tuple[str, str]]) -> str:
    rows = "\n".join(
        f'<tr><td style="padding:2px 16px 2px 0;white-space:nowrap;vertical-align:top;{_MUTED}">'
        f'{_text(name)}</td><td style="padding:2px 0">{_text(value)}'
        "</td></tr>"
        for name, value in pairs
    )
    return f'<table style="border-collapse:collapse;font-size:14px">\n{rows}\n</table>'


def _exception(info: ExceptionInfo) -> Iterator[str]:
    relation = RELATIONS.get(info.relation, info.relation)
    before = f'<span style="{_MUTED};font-weight:400">{_text(relation)}</span> ' if relation else ""
    yield f'<h2 style="margin:24px 0 4px;font-size:15px">{before}{_text(info.type)}</h2>'
    if info.message and relation:
        yield _block(info.message, "margin:0 0 8px")
    for note in info.notes:
        yield _block(f"note: {note}", f"margin:0 0 8px;{_MUTED}")
    for call in folded(info.frames):
        yield _folded(call) if isinstance(call, Folded) else _frame(call)
    if info.left_out:
        yield f'<p style="{_MUTED}">{info.left_out} more calls are not shown.</p>'


def _folded(call: Folded) -> str:
    return (
        f'<p style="margin:4px 0;font-size:12px;{_MUTED}">… {call.count} in '
        f"{_text(', '.join(call.packages))}</p>"
    )


def _frame(frame: Frame) -> str:
    parts = [
        f'<p style="margin:8px 0 2px;font-size:13px"><b style="{_MONO}">{_text(frame.file)}:'
        f'{frame.line}</b> <span style="{_MUTED}">in</span> <span style="{_MONO}">'
        f"{_text(frame.function)}</span></p>"
    ]
    if frame.source:
        lines = "\n".join(
            _line(number, line, number == frame.line)
            for number, line in enumerate(frame.source, frame.first_line)
        )
        parts.append(
            '<pre style="margin:0;padding:8px;background:#f6f8fa;border-radius:6px;overflow-x:auto;'
            f'font-size:12px;line-height:1.45;{_MONO}">{lines}</pre>'
        )
    if frame.variables:
        parts.append(_variables(frame))
    return "\n".join(parts)


def _line(number: int, line: str, is_current: bool) -> str:
    text = f"{number:5}  {_text(line)}"
    return f'<b style="background:#ffe2dd">{text}</b>' if is_current else text


def _variables(frame: Frame) -> str:
    rows = "\n".join(
        f'<tr><td style="padding:0 12px 0 8px;vertical-align:top;white-space:nowrap;color:#0550ae">'
        f"{_text(name)}</td><td>{_text(value)}</td></tr>"
        for name, value in frame.variables
    )
    style = f"margin:4px 0 0;border-collapse:collapse;font-size:12px;{_MONO}"
    return f'<table style="{style}">\n{rows}\n</table>'
