"""The debugger of one application."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from quart import Quart, Request, Response
from quart.signals import (
    got_background_exception,
    got_request_exception,
    got_websocket_exception,
)

from quartapp.debugger.page.prompt import Prompt, Reply, default_names, run_in_context
from quartapp.debugger.page.rendering import (
    PREFIX,
    render_page,
    render_problem,
    render_text,
    wanted_form,
)
from quartapp.debugger.page.store import Failure, Store
from quartapp.debugger.page.text import clean
from quartapp.debugger.server.access import Access, Caller
from quartapp.debugger.server.answers import Answer, answer

if TYPE_CHECKING:
    from quartapp.debugger.page.variables import Variables

_logger = logging.getLogger(__name__)

_CONTEXT = "__debugger_context__"
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "problem": "application/problem+json",
    "text": "text/plain; charset=utf-8",
}


async def _nothing_to_release(_namespace: Mapping[str, Any]) -> None:
    pass


class Debugger:
    """Keeps failures, answers with their pages, and runs the commands that are typed into them.

    `say` writes a line to the terminal. `names` returns more names for a prompt; it is called in
    the context of the failed request. `release_sessions` is called with a prompt's namespace after
    each command, and returns what the command borrowed. Frames of files below `libraries` are
    folded, like those of installed libraries.
    """

    def __init__(
        self,
        access: Access,
        *,
        address: str,
        say: Callable[[str], None],
        names: Callable[[], Mapping[str, Any]] = dict,
        release_sessions: Callable[[Mapping[str, Any]], Awaitable[None]] = _nothing_to_release,
        libraries: Sequence[str] = (),
    ) -> None:
        self.access = access
        self.store = Store()
        self._app: Quart | None = None
        self._address = address
        self._say = say
        self._names = names
        self._release_sessions = release_sessions
        self._libraries = libraries

    def attach(self, app: Quart) -> None:
        """Receive the exceptions of an application, with their contexts, through its signals."""
        self._app = app
        got_request_exception.connect(self._keep_context, app)
        got_websocket_exception.connect(self._keep_context, app)
        got_background_exception.connect(self._note_background, app)

    async def answer(self, error: Exception, request: Request) -> Response:
        """The page of an error, in the form that the client reads; see `flasklike.Debugger`."""
        where = f"{request.method} {request.path}"
        scope: Mapping[str, Any] = request.scope or {}
        status, headers, body = self.respond(error, where, Caller.from_scope(scope))
        return Response(body, status, headers)

    async def note(self, error: BaseException, where: str) -> None:
        """Keep an error that has no response, and print the link to its page."""
        try:
            self.keep(error, where)
        except Exception:
            _logger.exception("The debugger failed to keep an error.")

    def respond(self, error: BaseException, where: str, caller: Caller) -> Answer:
        """Keep an error and answer with its page. Never raises."""
        try:
            return self.render(self.keep(error, where), caller)
        except Exception:
            _logger.exception("The debugger failed to show an error.")
            body = b"Internal Server Error: the traceback is on the terminal of the server.\n"
            return answer(500, body, _CONTENT_TYPES["text"])

    def render(self, failure: Failure, caller: Caller) -> Answer:
        """The page of a failure, in the form that the caller reads.

        If the host name is not trusted there is no traceback in it: a page of another site may be
        reading it.
        """
        form = wanted_form(caller.headers.get("accept", ""))
        if not self.access.trusts_host(caller):
            form = "text"
            text = "Internal Server Error: the debugger does not trust this host name.\n"
        elif form == "html":
            offers_prompt = self.access.offers_prompt(caller)
            text = render_page(
                failure,
                secret=self.access.secret if offers_prompt else None,
                unlocked=offers_prompt and self.access.is_unlocked(caller),
            )
        elif form == "problem":
            text = render_problem(failure, self.link(failure))
        else:
            text = render_text(failure, self.link(failure))
        return answer(500, text.encode(), _CONTENT_TYPES[form])

    def link(self, failure: Failure) -> str:
        """The address of a failure's page, at the address that the server listens on: a Host
        header can name another."""
        return f"{self._address}{PREFIX}/failures/{failure.id}"

    def keep(self, error: BaseException, where: str) -> Failure:
        """Keep an error, and print a line with the link to its page."""
        context: Context = getattr(error, _CONTEXT, None) or copy_context()
        failure = Failure(error, clean(where), context, self._app, self._libraries)
        self.store.keep(failure)
        kind = failure.sections[0].kind
        self._say(clean(f" * {kind} in {where}: {self.link(failure)}"))
        return failure

    def variables(self, failure: Failure, frame: int) -> "Variables | None":
        """The variables of a frame; None if there is no such frame."""
        # Not at the top: redact may be what the developer has just broken, and the page of that
        # error needs no variables.
        from quartapp.debugger.page.variables import Variables

        found = failure.frame(frame)
        return Variables(dict(found.frame.f_locals)) if found else None

    async def run(self, failure: Failure, frame: int, source: str, *, now: bool) -> Reply | None:
        """Run a command in a frame; None if there is no such frame.

        The commands of one failure run one after the other.
        """
        found = failure.frame(frame)
        if found is None:
            return None

        async def command() -> Reply:
            if frame not in failure.prompts:
                # Within the context of the failed request, where these names are found.
                names = {**default_names(), **self._names()}
                failure.prompts[frame] = Prompt(found, names)
            prompt = failure.prompts[frame]
            try:
                return await prompt.run(source, now=now)
            finally:
                await self._release_sessions(prompt.namespace)

        async with failure.lock:
            return await run_in_context(failure.context, failure.app, command)

    async def _keep_context(self, _sender: Quart, *, exception: BaseException, **_: Any) -> None:
        # The signal is sent within the failed request; when the exception reaches the server, the
        # request's context is gone. The copy is kept on the exception, so that both are released
        # together. BaseException's own __setattr__, as a frozen dataclass forbids its own.
        BaseException.__setattr__(exception, _CONTEXT, copy_context())

    async def _note_background(self, _sender: Quart, *, exception: BaseException, **_: Any) -> None:
        await self.note(exception, "a background task")
