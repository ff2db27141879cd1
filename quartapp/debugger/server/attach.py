"""The debugger of `App.run(debug=True)`, which serves in the application's own process.

`flasklike` finds `make_debugger` by its entry point in the group `quart.debuggers`. The `dev`
command needs nothing of this: it is a server of its own, with a reloader that survives errors.
"""

import os
from typing import Any

from quart import Quart

from quartapp.debugger.page.frames import plain_text
from quartapp.debugger.server.access import Access, machine_pin
from quartapp.debugger.server.debugger import Debugger
from quartapp.debugger.server.hooks import set_debugger
from quartapp.debugger.server.hosting import Hosting
from quartapp.debugger.server.process import (
    FOLDED,
    PACKAGE,
    announce_pin,
    keep_terminal_clean,
    say,
)
from quartapp.debugger.server.sessions import release_sessions, session_names


def make_debugger(app: Quart, *, evalex: bool) -> Debugger | None:
    """The debugger of an application that is about to serve; None if ENVIRONMENT is production.

    Only this machine sees it, on whichever address the application listens. The PIN is printed.
    As with the `dev` command there is no prompt where CI is set. Raises ConfigurationError for
    an EDITOR_URL that is none.
    """
    environment = os.environ  # noqa: TID251  # production refused, and CI
    if environment.get("ENVIRONMENT") == "production":
        say(" * Debugger: off, because ENVIRONMENT is production")
        return None
    if isinstance(made := app.extensions.get("debugger"), Debugger):
        return made
    evalex = evalex and environment.get("CI", "").lower() in {"", "0", "false"}
    access = Access(
        port=0,  # and the address: of the first request, as the server knows them
        pin=machine_pin(app.import_name) if evalex else None,
        evalex=evalex,
        local_only=True,
    )
    debugger = new_debugger(access, "", environment.get("EDITOR_URL", ""))
    served: Any = app.asgi_app
    hosting = Hosting(debugger, log=lambda error: say(plain_text(error).rstrip()))
    hosting.host(app, served)
    app.asgi_app = hosting  # type: ignore[method-assign]
    set_debugger(app, debugger)
    develop(app, hosting)
    app.extensions["debugger"] = debugger
    keep_terminal_clean(app)
    announce_pin(evalex=evalex, pin=access.pin)
    return debugger


def new_debugger(access: Access, address: str, editor: str = "") -> Debugger:
    """A debugger that writes to the terminal and knows the sessions of `quartapp.database`."""
    return Debugger(
        access,
        address=address,
        say=say,
        names=session_names,
        release_sessions=release_sessions,
        editor=editor,
        libraries=[f"{PACKAGE}{os.sep}{name}" for name in FOLDED],
    )


def develop(app: Quart, hosting: Hosting) -> None:
    """Add `/break/` and `/dev/mail` to a server whose application does not serve yet.

    A failure to do so is printed: they import parts in which the developer may have an error.
    """
    try:
        from quartapp.debugger.server.development import Development

        hosting.development = Development(app, hosting.debugger, say)
    except Exception as error:  # noqa: BLE001  # the application is served nevertheless
        say(f"{plain_text(error)} * /break/ and /dev/mail are off because of that error.")
