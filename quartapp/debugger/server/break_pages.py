"""The pages of `/break/`: which failures there are, and what came of one."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quart import Quart

from quartapp.breakit.catalogue import Failure, limit_of, offered
from quartapp.breakit.traces import Trace, Traces
from quartapp.debugger.page.rendering import PREFIX, page_template
from quartapp.debugger.page.routes import OWN_PAGE
from quartapp.debugger.server.answers import Answer, html_answer
from quartapp.debugger.server.debugger import Debugger
from quartapp.debugger.server.mail_pages import MAIL
from quartapp.mail.mailbox import Mailbox

BREAK = "/break"

_NOW = "now"


@dataclass(frozen=True)
class Found:
    """A report of a failure, with the addresses at which it can be seen; "" where it cannot."""

    title: str
    reference: str
    at: str
    mail: str
    inbox: str


class BreakPages:
    """The failures of one application."""

    def __init__(self, app: Quart, debugger: Debugger, mailbox: Mailbox) -> None:
        self._app = app
        self._debugger = debugger
        self._mailbox = mailbox
        self._failures = {failure.name: failure for failure in offered(app)}
        self._traces = Traces(app)

    def fails(self, path: str) -> bool:
        """Whether the application is to answer this address: with a failure."""
        return any(failure.path == path for failure in self._failures.values())

    def begin(self, path: str) -> None:
        """Note that a failure begins now."""
        self._traces.begin(path.split("/")[2])

    def get(self, path: str) -> Answer | None:
        """The list, or the page of one failure; None if there is no such page."""
        match path.split("/")[2:]:
            case [] | [""]:
                failures = self._failures.values()
                return self._page("break.html", failures=failures, limit=limit_of(self._app))
            case [name] if name in self._failures:
                return self._one(self._failures[name])
        return None

    def _one(self, failure: Failure) -> Answer:
        trace = self._traces.of(failure.name)
        return self._page(
            "failure.html",
            failure=failure,
            limit=limit_of(self._app),
            trace=trace,
            when=time.strftime("%H:%M:%S", time.localtime(trace.began)) if trace else "",
            reports=self._found(trace) if trace else [],
            kept=self._kept(trace) if trace else [],
            is_reporting="reporting" in self._app.extensions,
            inbox=self._inbox(),
            others=list(self._failures.values()),
        )

    def _found(self, trace: Trace) -> Sequence[Found]:
        mails = self._mails_of([report.fingerprint for report in trace.reports])
        inbox = self._inbox()
        return [
            Found(
                title=report.title,
                reference=report.reference,
                at=report.culprit,
                mail=mails.get(report.fingerprint, ""),
                inbox=f"{inbox}?q={report.reference or report.fingerprint}" if inbox else "",
            )
            for report in trace.reports
        ]

    def _mails_of(self, fingerprints: Sequence[str]) -> dict[str, str]:
        """The newest mail about each group: a Message-ID begins with the group's fingerprint."""
        found: dict[str, str] = {}
        for name in self._mailbox.names() if fingerprints else ():
            source = self._mailbox.source(name) or b""
            for fingerprint in fingerprints:
                if f"Message-ID: <{fingerprint}.".encode() in source:
                    found.setdefault(fingerprint, f"{MAIL}/{name}")
        return found

    def _kept(self, trace: Trace) -> list[tuple[str, str]]:
        """The debugger's pages of failures since then: what failed, and the address."""
        return [
            (f"{failure.sections[0].kind} in {failure.where}", f"{PREFIX}/failures/{failure.id}")
            for failure in self._debugger.store
            if trace.began <= failure.kept_at < trace.ended
        ]

    def _inbox(self) -> str:
        inbox: Any = self._app.extensions.get("inbox")
        return f"{inbox.prefix}/" if inbox is not None else ""

    def _page(self, template: str, **values: object) -> Answer:
        text = page_template(template).render(prefix=PREFIX, own_page=OWN_PAGE, mail=MAIL, **values)
        return html_answer(text)
