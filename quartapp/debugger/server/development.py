"""`/break/` and `/dev/mail`: what the development server shows besides the application's pages.

Both answer only a browser on this machine, under a name that is trusted; see `access`. Neither
exists where this server does not, because nothing else installs them.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from quart import Quart

from quartapp.breakit import views
from quartapp.debugger.page.frames import is_library
from quartapp.debugger.page.text import clean
from quartapp.debugger.server.access import Access, Caller
from quartapp.debugger.server.answers import Answer, Send, answer, send_answer
from quartapp.debugger.server.break_pages import BREAK, BreakPages
from quartapp.debugger.server.debugger import Debugger
from quartapp.debugger.server.mail_pages import MAIL, MailPages
from quartapp.debugger.server.watchdog import Watchdog
from quartapp.mail.delivery import MAILBOX
from quartapp.mail.mailbox import Mailbox

_logger = logging.getLogger(__name__)

_FOLDER = "mail"
"""The folder of the mailbox, in the instance folder of the application."""


class Development:
    """The pages of one application. Make it before the application serves.

    From then on the mails of the application are kept in its mailbox, and none is sent. What the
    application has at the same addresses takes precedence: then there are no pages of ours.
    """

    def __init__(self, app: Quart, debugger: Debugger, say: Callable[[str], None]) -> None:
        self._access: Access = debugger.access
        mailbox = app.extensions[MAILBOX] = Mailbox(Path(app.instance_path) / _FOLDER)
        self._mails = None if _is_taken(app, MAIL) else MailPages(mailbox)
        self._failures = None
        if not _is_taken(app, BREAK):
            views.install(app)
            self._failures = BreakPages(app, debugger, mailbox)
        watchdog = Watchdog(app.logger, partial(is_library, libraries=debugger.libraries))
        app.before_serving(watchdog.start)
        app.after_serving(watchdog.stop)
        shown = {BREAK + "/": self._failures, MAIL: self._mails}
        if addresses := [f"{debugger.address}{path}" for path, pages in shown.items() if pages]:
            say(f" * Failures to look at, and the mails: {' and '.join(addresses)}")

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Send) -> bool:
        """Answer a request; False if it is one for the application, as a failure is."""
        path = "/" + scope["path"].lstrip("/")  # the application's routes take any number of them
        pages = self._pages(path)
        if pages is None:
            return False
        caller = Caller.from_scope(scope)
        refused = self._refuse(caller)
        if refused is None and isinstance(pages, BreakPages) and pages.fails(path):
            refused = _refuse_strangers(caller)
            if refused is None:
                pages.begin(path)
                return False
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return True
        found = (
            await asyncio.to_thread(_get, pages, path, scope["method"])
            if refused is None
            else refused
        )
        await send_answer(send, found, head=scope["method"] == "HEAD")
        return True

    def _pages(self, path: str) -> "BreakPages | MailPages | None":
        if f"{path}/".startswith(f"{BREAK}/"):
            return self._failures
        return self._mails if f"{path}/".startswith(f"{MAIL}/") else None

    def _refuse(self, caller: Caller) -> Answer | None:
        if not self._access.trusts_host(caller):
            return _refusal(400, "The development server does not trust this host name.")
        if not caller.is_local:
            return _refusal(403, "Only the server's own machine sees this page.")
        return None


def _get(pages: "BreakPages | MailPages", path: str, method: str) -> Answer:
    if method not in {"GET", "HEAD"}:
        return _refusal(405, "This page accepts only GET.")
    try:
        found = pages.get(path)
    except Exception:
        _logger.exception("A page of the development server failed.")
        return _refusal(500, "This page failed: the reason is in the server's terminal.")
    return found or _refusal(404, "There is no such page of the development server.")


def _refuse_strangers(caller: Caller) -> Answer | None:
    """Let no page of another site break things: only our pages, an address that was typed, and
    programs of this machine."""
    site = caller.headers.get("sec-fetch-site", "none")
    own = {None, f"http://{caller.host}", f"https://{caller.host}"}
    if site in {"same-origin", "none"} and caller.headers.get("origin") in own:
        return None
    return _refusal(403, "A page of another site asked for this. Open /break/ and try from there.")


def _is_taken(app: Quart, path: str) -> bool:
    return any(
        f"{rule.rule}/".startswith(f"{path}/")
        for rule in app.url_map.iter_rules()
        if not str(rule.endpoint).startswith(f"{views.BLUEPRINT}.")
    )


def _refusal(status: int, text: str) -> Answer:
    return answer(status, f"{clean(text)}\n".encode(), "text/plain; charset=utf-8")
