"""The pages of `/dev/mail`: the mails that an application would have sent.

A mail may hold anything that somebody has typed into a form. Its text and its headers are escaped,
and its HTML is a document without an origin: in a sandboxed frame, under a policy that allows no
script, no request and no form, only styles, embedded pictures, and links that open another tab.
"""

import logging
from datetime import datetime
from email.message import EmailMessage

from quartapp.debugger.page.rendering import PREFIX, page_template
from quartapp.debugger.page.text import bounded
from quartapp.debugger.server.answers import HEADERS, Answer, answer, html_answer
from quartapp.mail.mailbox import Mailbox, kept_at, read

MAIL = "/dev/mail"

_logger = logging.getLogger(__name__)

_MAX_TEXT = 200_000
_MAX_FIELD = 10_000
_MAX_FIELDS = 200
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_HTML_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors 'self'; sandbox {_SANDBOX}"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}


class MailPages:
    """The pages of one mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def get(self, path: str) -> Answer | None:
        """The list, one mail, its HTML, or the file; None if there is no such page."""
        match path.split("/")[3:]:
            case [] | [""]:
                return self._list()
            case [name]:
                return self._shown(name, self._mailbox.source(name))
            case [name, "html"]:
                return _html(self._mailbox.source(name))
            case [name, "source"]:
                return _source(self._mailbox.source(name))
            case [name, "mail.eml"]:
                return _file(name, self._mailbox.source(name))
        return None

    def _list(self) -> Answer:
        mails = []
        for name in self._mailbox.names():
            if (source := self._mailbox.source(name)) is not None:
                fields = _fields(read(source, header_only=True))
                mails.append(
                    {
                        "path": f"{MAIL}/{name}",
                        "at": _time(name),
                        "to": ", ".join(_all(fields, "Delivered-To")) or "nobody",
                        "subject": _subject(fields),
                    }
                )
        return _page("mailbox.html", mails=mails)

    def _shown(self, name: str, source: bytes | None) -> Answer | None:
        if source is None:
            return None
        message = read(source)
        fields, html, text = _fields(message), _part(message, "html"), _part(message, "plain")
        return _page(
            "mail.html",
            path=f"{MAIL}/{name}",
            at=_time(name),
            subject=_subject(fields),
            recipients=_all(fields, "Delivered-To"),
            header=fields,
            has_html=html is not None,
            text=None if text is None else bounded(text, _MAX_TEXT),
            files=[str(part.get_filename() or part.get_content_type()) for part in _files(message)],
            sandbox=_SANDBOX,
        )


def _page(template: str, **values: object) -> Answer:
    return html_answer(page_template(template).render(prefix=PREFIX, mail=MAIL, **values))


def _html(source: bytes | None) -> Answer | None:
    html = None if source is None else _part(read(source), "html")
    if html is None:
        return None
    # Links open another tab, as the frame may go nowhere. A second doctype is ignored.
    body = f'<!doctype html><base target="_blank">{html}'.encode("utf-8", "replace")
    status, _, body = answer(200, body, "")
    return status, {**_HTML_HEADERS, "Content-Type": "text/html; charset=utf-8"}, body


def _source(source: bytes | None) -> Answer | None:
    return None if source is None else answer(200, source, "text/plain; charset=utf-8")


def _file(name: str, source: bytes | None) -> Answer | None:
    if source is None:
        return None
    status, headers, body = answer(200, source, "message/rfc822")
    disposition = f'attachment; filename="{name}.eml"'
    return status, {**headers, "Content-Disposition": disposition}, body


def _time(name: str) -> str:
    return f"{datetime.fromtimestamp(kept_at(name)).astimezone():%Y-%m-%d %H:%M:%S}"


def _fields(message: EmailMessage) -> list[tuple[str, str]]:
    """The fields of the header, decoded if the standard library can, which raises for some."""
    fields = []
    for name, raw in list(message.raw_items())[:_MAX_FIELDS]:
        text = bounded(str(raw), _MAX_FIELD)
        try:
            text = str(message.policy.header_fetch_parse(name, text))
        except Exception:  # noqa: BLE001  # a broken field must not hide the mail
            _logger.debug("The field %s of a mail cannot be decoded", name)
        fields.append((name, text))
    return fields


def _all(fields: list[tuple[str, str]], name: str) -> list[str]:
    return [text for each, text in fields if each.lower() == name.lower()]


def _subject(fields: list[tuple[str, str]]) -> str:
    return next(iter(_all(fields, "Subject")), "") or "(no subject)"


def _part(message: EmailMessage, kind: str) -> str | None:
    """The text or the HTML of a mail; None if it has none."""
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except Exception:  # noqa: BLE001  # an unknown charset must not hide the mail
        data = part.get_payload(decode=True)
        return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


def _files(message: EmailMessage) -> list[EmailMessage]:
    shown = {id(message.get_body((kind,))) for kind in ("html", "plain")}
    parts = [part for part in message.walk() if not part.is_multipart()]
    return [part for part in parts if id(part) not in shown and isinstance(part, EmailMessage)]
