"""The debugger of one application."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context, copy_context
from typing import Any

from quart import Quart, Request, Response
from quart.signals import (
    got_background_exception,
    got_request_exception,
    got_websocket_exception,
)

from quartapp.debugger.page.prompt import Prompt, Reply, default_names, run_in_context
from quartapp.debugger.page.rendering import (
    HEADERS,
    PREFIX,
    render_page,
    render_problem,
    render_text,
    wanted_form,
)
from quartapp.debugger.page.store import Kept, Store
from quartapp.debugger.page.text import clean
from quartapp.debugger.page.values import IsSecret, Locals
from quartapp.debugger.server.access import Access, Caller

_logger = logging.getLogger(__name__)

_CONTEXT = "__debugger_context__"
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "problem": "application/problem+json",
    "text": "text/plain; charset=utf-8",
}


async def _no_settling(_namespace: Mapping[str, Any]) -> None:
    pass


class Debugger:
    """Keeps failures, answers with their pages, and runs what is typed into them.

    Handed in are: `say`, which writes a line to the terminal; `is_secret`, whose names are hidden
    until asked for; `names`, more names for every prompt, made within the failed request's
    context; and `settle`, which is called with a prompt's namespace after each command, to give
    back what it borrowed; and `libraries`, folders whose frames are folded away as those of what
    is installed.
    """

    def __init__(
        self,
        access: Access,
        *,
        address: str,
        say: Callable[[str], None],
        is_secret: IsSecret,
        names: Callable[[], Mapping[str, Any]] = dict,
        settle: Callable[[Mapping[str, Any]], Awaitable[None]] = _no_settling,
        libraries: Sequence[str] = (),
    ) -> None:
        self.access = access
        self.store = Store()
        self._app: Quart | None = None
        self._address = address
        self._say = say
        self._is_secret = is_secret
        self._extra_names = names
        self._settle = settle
        self._libraries = libraries

    def attach(self, app: Quart) -> None:
        """Listen to the signals of an application whose `debugger` this is going to be."""
        self._app = app
        got_request_exception.connect(self._remember, app)
        got_websocket_exception.connect(self._remember, app)
        got_background_exception.connect(self._background, app)

    async def answer(self, error: Exception, request: Request) -> Response:
        """The page, or what the client can read of it; see `flasklike.Debugger`."""
        where = f"{request.method} {request.path}"
        scope: Mapping[str, Any] = request.scope or {}
        status, headers, body = self.respond(error, where, Caller.from_scope(scope))
        return Response(body, status, headers)

    async def note(self, error: BaseException, where: str) -> None:
        """Keep an error without a page, and say on the terminal where it can be looked at."""
        try:
            self.keep(error, where)
        except Exception:
            _logger.exception("The debugger failed to keep an error.")

    def respond(
        self, error: BaseException, where: str, caller: Caller
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a failure. Never raises."""
        try:
            return self.render(self.keep(error, where), caller)
        except Exception:
            _logger.exception("The debugger failed to show an error.")
            body = b"Internal Server Error: the traceback is on the terminal of the server.\n"
            return 500, {**HEADERS, "Content-Type": _CONTENT_TYPES["text"]}, body

    def render(self, kept: Kept, caller: Caller) -> tuple[int, dict[str, str], bytes]:
        """The page of a kept failure, in the form that the caller reads.

        A caller under a host name that is not trusted gets no traceback at all: a page of
        another site may be reading it.
        """
        form = wanted_form(caller.headers.get("accept", ""))
        if not self.access.trusts_host(caller):
            form = "text"
            text = "Internal Server Error: the debugger does not trust this host name.\n"
        elif form == "html":
            offers_prompt = self.access.offers_prompt(caller)
            text = render_page(
                kept,
                secret=self.access.secret if offers_prompt else None,
                unlocked=offers_prompt and self.access.is_unlocked(caller),
            )
        elif form == "problem":
            text = render_problem(kept, self.link(kept))
        else:
            text = render_text(kept, self.link(kept))
        return 500, {**HEADERS, "Content-Type": _CONTENT_TYPES[form]}, text.encode()

    def link(self, kept: Kept) -> str:
        """Where to look at a failure: at the address that is listened on, whatever Host said."""
        return f"{self._address}{PREFIX}/failures/{kept.id}"

    def keep(self, error: BaseException, where: str) -> Kept:
        """Keep a failure, and say where on the terminal."""
        context: Context = getattr(error, _CONTEXT, None) or copy_context()
        kept = Kept(error, clean(where), context, self._app, self._libraries)
        self.store.keep(kept)
        kind = kept.sections[0].kind
        self._say(clean(f" * {kind} in {where}: {self.link(kept)}"))
        return kept

    def locals(self, kept: Kept, frame: int) -> Locals | None:
        """The variables of a frame; None if there is no such frame."""
        found = kept.frame(frame)
        return Locals(dict(found.frame.f_locals), self._is_secret) if found else None

    async def run(self, kept: Kept, frame: int, source: str, *, now: bool) -> Reply | None:
        """Run a command in a frame; None if there is no such frame. One at a time."""
        found = kept.frame(frame)
        if found is None:
            return None
        async with kept.lock:

            async def command() -> Reply:
                if frame not in kept.prompts:
                    kept.prompts[frame] = Prompt(found, self._names())
                return await kept.prompts[frame].run(source, now=now)

            async def settle() -> None:
                prompt = kept.prompts.get(frame)
                if prompt is not None:
                    await self._settle(prompt.namespace)

            return await run_in_context(kept.context, kept.app, command, settle)

    def _names(self) -> dict[str, Any]:
        return {**default_names(), **self._extra_names()}

    async def _remember(self, _sender: Quart, *, exception: BaseException, **_: Any) -> None:
        # Within the failed request: its context is gone when the exception reaches the server.
        # On the exception itself, so that it goes when the exception goes; past its own
        # __setattr__, which a frozen dataclass forbids.
        BaseException.__setattr__(exception, _CONTEXT, copy_context())

    async def _background(self, _sender: Quart, *, exception: BaseException, **_: Any) -> None:
        await self.note(exception, "a background task")
