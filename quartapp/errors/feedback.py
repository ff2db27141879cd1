"""The box on the page of a 5xx in which a person says what they did, and who takes its text.

When pages fail, so may the database, the session, or a before_request function. So the form is
answered before the application sees it, with pages that need nothing, and its text is written to
the journal of reporting, which needs no database. Only who has seen the page of an error can write
about it: the form has the error's reference, signed for a day.
"""

import hashlib
from html import escape
from typing import Any

from itsdangerous import BadData, TimestampSigner
from quart import Quart

from quartapp.errors.forms import sent_form
from quartapp.errors.refusal import refuse
from quartapp.errors.site import Site
from quartapp.flasklike.asgi.scope import path_of
from quartapp.flasklike.sessions import signing_keys
from quartapp.http_methods import SAFE_METHODS
from quartapp.throttling import Throttle, ThrottledError, network_of
from quartapp.throttling.counters import Counters
from quartapp.throttling.settings import limit_of

PATH = "/error-feedback"
"""Below the root path, in every application that has the box."""

LONGEST = 1000
"""The most characters of a text."""

VALID = 86_400
"""Seconds for which somebody who has seen an error may write about it."""

_SALT = "quartapp.errors.feedback"
_LIMITS = {
    "address": limit_of("20 per hour", "error-feedback of an address"),
    "error": limit_of("5 per day", "error-feedback on an error"),
    "all": limit_of("300 per hour", "error-feedback"),
}
_LONGEST_TOKEN = 200
_SORRY = "Your text is still here."


class Feedback:
    """The box of one application, and ASGI middleware that answers its form."""

    def __init__(self, app: Quart, site: Site) -> None:
        self._quart = app
        self._app: Any = app.asgi_app
        self._site = site
        self._throttle = Throttle(Counters())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or path_of(scope) != PATH:
            await self._app(scope, receive, send)
        elif scope["method"] == "POST":
            await self._take(scope, receive, send)
        elif scope["method"] in SAFE_METHODS:
            await self._say(
                scope, send, 200, "Thank you", "What you wrote helps to find the error."
            )
        else:
            await self._say(scope, send, 405, headers=(("Allow", "GET, HEAD, OPTIONS, POST"),))

    def box(self, reference: str, root: str) -> str:
        """The form on the page of an error, as HTML; "" in an application without a SECRET_KEY."""
        signer = self._signer()
        return _form(signer.sign(reference).decode(), root) if signer else ""

    async def _take(self, scope: Any, receive: Any, send: Any) -> None:
        fields = await sent_form(scope, receive)
        if fields is None:
            await self._say(scope, send, 400, has_read=False)
            return
        given = dict(fields)
        text = given.get("text", "").replace("\r\n", "\n").strip()
        token = given.get("of", "")
        reference = self._read(token)
        if reference is None:
            said = "The page that you wrote this on is too old, or it is not one of this site. Copy"
            said += " your text, and tell us about it in another way."
            await self._say(scope, send, 403, detail=said, more=_form("", "", text))
        elif not text:
            await self._ask_again(scope, send, 422, "You have written nothing.", token, text)
        elif len(text) > LONGEST:
            said = f"Please write at most {LONGEST:,} characters; these are {len(text):,}. {_SORRY}"
            await self._ask_again(scope, send, 422, said, token, text)
        else:
            await self._keep(scope, send, token, reference, text)

    async def _keep(self, scope: Any, send: Any, token: str, reference: str, text: str) -> None:
        try:
            await self._count(scope, reference)
        except ThrottledError as error:
            said = f"{error.description} {_SORRY}"
            wait = (("Retry-After", str(error.retry_after)),)
            await self._ask_again(scope, send, 429, said, token, text, wait)
            return
        pipeline = self._quart.extensions.get("reporting")
        if pipeline is None or not pipeline.keep_feedback(reference, text):
            said = f"This could not be stored. Please try again in a while. {_SORRY}"
            self._site.expect("feedback")
            await self._ask_again(scope, send, 503, said, token, text)
            return
        there = (("Location", scope.get("root_path", "") + PATH),)
        await self._say(scope, send, 303, "Thank you", "", headers=there)

    async def _count(self, scope: Any, reference: str) -> None:
        throttle = self._quart.extensions.get("throttling", self._throttle)
        network = network_of((scope.get("client") or ("",))[0])
        await throttle.hit(_LIMITS["address"], network)
        await throttle.hit(_LIMITS["error"], reference)
        await throttle.hit(_LIMITS["all"])

    def _signer(self) -> TimestampSigner | None:
        keys = signing_keys(self._quart)
        if not keys:
            return None
        return TimestampSigner(
            keys[::-1],  # type: ignore[arg-type]  # they may be mixed; the last one signs
            salt=_SALT,
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def _read(self, token: str) -> str | None:
        """The reference for which a form was made; None if it was not, or too long ago."""
        signer = self._signer()
        if signer is None or len(token) > _LONGEST_TOKEN:
            return None
        try:
            return signer.unsign(token.encode("utf-8", "replace"), max_age=VALID).decode()
        except BadData:
            return None

    async def _ask_again(
        self,
        scope: Any,
        send: Any,
        status: int,
        said: str,
        token: str,
        text: str,
        headers: Any = (),
    ) -> None:
        form = _form(token, scope.get("root_path", ""), text)
        await self._say(scope, send, status, detail=said, more=form, headers=headers)

    async def _say(
        self,
        scope: Any,
        send: Any,
        status: int,
        title: str = "Not sent",
        detail: str = "This form did not arrive as it was made. Please send it again.",
        *,
        more: str = "",
        headers: Any = (),
        has_read: bool = True,
    ) -> None:
        error = self._site.describe(status, detail, title=title, headers=headers, contact="")
        root = escape(scope.get("root_path", ""))
        more += f'<p><a href="{root}/">Start page</a></p>'
        await refuse(scope, send, error, self._site, more, has_read=has_read)


def wrap(app: Quart, site: Site) -> None:
    """Give the pages of errors their box, and answer its form."""
    made = Feedback(app, site)
    site.feedback_box = made.box
    app.asgi_app = made  # type: ignore[method-assign]  # Quart's documented place


def _form(token: str, root: str, text: str = "") -> str:
    """The form; without a token it only shows the text."""
    # HTML ignores a line feed at the beginning of a textarea.
    area = (
        '<label for="feedback-text">What did you do before this happened? It helps to find the'
        f' error.</label><textarea id="feedback-text" name="text" rows="4" maxlength="{LONGEST}"'
        f" required>\n{escape(text)}</textarea>"
    )
    if not token:
        return area
    return (
        f'<form class="feedback" method="post" action="{escape(root)}{PATH}">'
        f'<input type="hidden" name="of" value="{escape(token)}">{area}'
        "<p><small>It goes to the operators of this site. Please leave out passwords.</small></p>"
        '<button type="submit">Send</button></form>'
    )
