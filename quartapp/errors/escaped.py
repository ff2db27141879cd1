"""A page for the exceptions that stock Quart lets through to the server.

They are raised before and after the error handlers: by the opening of the session, by the 500
handler, by a teardown function. The server would answer them with a bare text, or nothing.
`flasklike.App` needs no middleware for this; it has `last_resort`.
"""

from typing import Any

from quart import Quart
from werkzeug.exceptions import HTTPException, InternalServerError

from quartapp.errors.refusal import refuse
from quartapp.errors.site import Site
from quartapp.flasklike.asgi.last_resort import answering_for


class EscapedErrors:
    """ASGI middleware that answers a request which an exception has left without an answer.

    An HTTP error, such as of a Host that is not trusted, is answered and ends here; any other
    exception is raised again, for reporting and the server.
    """

    def __init__(self, app: Quart, site: Site) -> None:
        self._app = app
        self._asgi_app: Any = app.asgi_app
        self._site = site

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._asgi_app(scope, receive, send)
            return
        has_begun = False

        async def note(message: Any) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._asgi_app(scope, receive, note)
        except HTTPException as error:
            if has_begun:
                raise
            await self._answer(scope, send, error, error)
            if (error.code or 500) >= 500:
                raise
        except Exception as error:
            if not has_begun:
                await self._answer(scope, send, InternalServerError(), error)
            raise

    async def _answer(
        self, scope: Any, send: Any, error: HTTPException, escaped: Exception
    ) -> None:
        status = error.code or 500
        reference = self._site.reference() if status >= 500 else None
        with answering_for(escaped, scope):  # so that reporting records it, and no response besides
            described = self._site.describe_failure(status, scope=scope)
            await refuse(scope, send, described, self._site, reference=reference)
