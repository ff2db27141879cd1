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

from quartapp import breadcrumbs
from quartapp.debugger.page.prompt import Prompt, Reply, default_names, run_in_context
from quartapp.debugger.page.rendering import (
    PREFIX,
    render_markdown,
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
    "markdown": "text/markdown; charset=utf-8",
    "problem": "application/problem+json",
    "text": "text/plain; charset=utf-8",
}


async def _nothing_to_release(_namespace: Mapping[str, Any]) -> None:
    pass


class Debugger:
    """Keeps failures, answers with their pages, and runs the commands that are typed into them.

    `say` writes a line to the terminal. `names` returns more names for a prompt; it is called with
    the prompt's names before each command, in the context of the failed request. `release_sessions`
    is called with them after each command, and returns what the command borrowed. Frames of files
    below `libraries` are folded, like those of installed libraries. `editor` is the setting
    EDITOR_URL; without it, that of the application's configuration is used.
    """

    def __init__(
        self,
        access: Access,
        *,
        address: str,
        say: Callable[[str], None],
        names: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _names: {},
        release_sessions: Callable[[Mapping[str, Any]], Awaitable[None]] = _nothing_to_release,
        libraries: Sequence[str] = (),
        editor: str = "",
    ) -> None:
        self.access = access
        self.store = Store()
        self._app: Quart | None = None
        self.address = address
        self._say = say
        self._names = names
        self._release_sessions = release_sessions
        self.libraries = libraries
        self._editor = editor

    def attach(self, app: Quart) -> None:
        """Receive the exceptions of an application, with their contexts, through its signals.

        Raises ConfigurationError for an EDITOR_URL that is none.
        """
        self._app = app
        self._editor = _editor(app, self._editor)
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
        reading it; see `Access.shows_source`.
        """
        form = wanted_form(caller.headers.get("accept", ""))
        if not self.access.shows_source(caller):
            form = "text"
            text = (
                "Internal Server Error: the debugger does not trust this host name. Visit it "
                "as localhost, or name the host with `quart dev --trusted-host`.\n"
            )
            if self.access.trusts_host(caller):
                text = "Internal Server Error: only the server's own machine sees the traceback.\n"
        elif form == "html":
            offers_prompt = self.access.offers_prompt(caller)
            text = render_page(
                failure,
                secret=self.access.secret if offers_prompt else None,
                unlocked=offers_prompt and self.access.is_unlocked(caller),
                # The paths and editors of another machine are others.
                editor=self._editor if caller.is_local else "",
            )
        elif form == "problem":
            text = render_problem(failure, self.link(failure))
        elif form == "markdown":
            text = render_markdown(failure)
        else:
            text = render_text(failure, self.link(failure))
        return answer(500, text.encode(), _CONTENT_TYPES[form])

    def link(self, failure: Failure) -> str:
        """The address of a failure's page, at the address that the server listens on: a Host
        header can name another."""
        return f"{self.address}{PREFIX}/failures/{failure.id}"

    def listens_at(self, scope: Mapping[str, Any]) -> None:
        """Take the address from a request that the server accepted, if it was not known before."""
        server = scope.get("server")
        if self.address or not server or server[1] is None:
            return
        host, self.access.port = server
        secure = scope["scheme"] in {"https", "wss"}
        name = f"[{host}]" if ":" in host else host
        self.address = f"{'https' if secure else 'http'}://{name}:{self.access.port}"

    def has_kept(self, error: BaseException) -> bool:
        """Whether an error has a page already."""
        return any(failure.error is error for failure in self.store)

    def keep(self, error: BaseException, where: str) -> Failure:
        """Keep an error, and print a line with the link to its page."""
        context: Context = getattr(error, _CONTEXT, None) or copy_context()
        ring = breadcrumbs.breadcrumbs(context)
        failure = Failure(
            error,
            clean(where),
            context,
            self._app,
            self.libraries,
            ring.frozen() if ring else None,
        )
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
            # Within the context of the failed request, where these names are found.
            known = failure.prompts.get(frame)
            variables = known.namespace if known else found.frame.f_locals
            names = {**default_names(), **self._names(variables)}
            if known is None:
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


def _editor(app: Quart, given: str) -> str:
    # Not at the top: the page of an error in these settings needs none.
    from quartapp.debugger.server.settings import DebuggerSettings

    own = {"EDITOR_URL": given} if given else {}
    return DebuggerSettings.from_config({**app.config, **own}).editor_url
