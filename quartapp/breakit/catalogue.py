"""The failures in words: what happens, and what is special about each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from quart import Quart

Need = Literal["", "App", "database", "limit"]
"""What an application must have for a failure: `flasklike`, the database of `quartapp.database`,
and a limit on how long its statements may take."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure: `GET /break/NAME` describes it, and `path` fails.

    `notes` say what is special about it. `is_error` is whether it is recorded, and so mailed.
    """

    name: str
    title: str
    what: str
    notes: tuple[str, ...] = ()
    needs: Need = ""
    method: Literal["GET", "POST", "WEBSOCKET"] = "GET"
    is_error: bool = True

    @property
    def path(self) -> str:
        return f"/break/{self.name}/now"


FAILURES = (
    Failure(
        "view",
        "An exception in a view",
        "A view adds up an order whose tea has no price: a KeyError that nobody handles.",
    ),
    Failure(
        "template",
        "An error in a template",
        "A template writes the name of a customer whom the order does not have.",
        ("The page marks the template's own line, and lists its variables.",),
    ),
    Failure(
        "flush",
        "A failed flush",
        "Two people register with the same username, and the database refuses the second one: the "
        "bug with which the tutorial's chapter on errors begins.",
        (
            "The session is rolled back before the page is made. Open any other page: it works, and"
            " so does this one.",
            "The table is a temporary one: your data is not touched.",
        ),
        needs="database",
        method="POST",
    ),
    Failure(
        "group",
        "An exception group",
        "A TaskGroup asks two services at once, and both fail: an ExceptionGroup with two members.",
        ("Each member has its own traceback.",),
    ),
    Failure(
        "task",
        "A task that nobody awaits",
        "A view starts a task, answers, and never looks at the task again. It fails.",
        ("The answer is fine. asyncio reports the error when the task is gone.",),
    ),
    Failure(
        "coroutine",
        "A coroutine that nobody awaits",
        "A view calls an async function without await, so nothing of it runs.",
        (
            "Nothing fails: Python warns in the terminal that the coroutine was never awaited, "
            "once for each line of code.",
            "In tests, the strictness of quartapp.testing makes it an error.",
        ),
        is_error=False,
    ),
    Failure(
        "background",
        "A background task",
        "A view adds a background task and answers. The task fails afterwards.",
        ("The link to the debugger's page is in the terminal, as no response is left to show it.",),
    ),
    Failure(
        "thread",
        "A thread",
        "A view starts a thread and answers. The thread fails afterwards.",
        ("Python shows it to threading.excepthook, and to no request.",),
    ),
    Failure(
        "stream",
        "A stream that dies",
        "A response of several parts fails after its first one. Its status has been sent, so it "
        "cannot become a 500.",
        ("The browser gets half an answer, and the connection is cut.",),
    ),
    Failure(
        "slow",
        "A slow statement",
        "A statement that takes an hour. DATABASE_TIMEOUT ends it after {seconds:g} seconds.",
        ("Other requests are answered meanwhile.",),
        needs="limit",
    ),
    Failure(
        "websocket",
        "A WebSocket",
        "A WebSocket accepts a connection, answers the first message, and fails at the second.",
        ("The connection is closed, by an App with the code 1011. The button needs JavaScript.",),
        method="WEBSOCKET",
    ),
    Failure(
        "loop",
        "A blocked event loop",
        "An async view calls time.sleep(2) in place of await asyncio.sleep(2). No other request is "
        "answered meanwhile.",
        (
            "Nothing fails: a warning in the log says where the loop was blocked.",
            "In tests, the strictness of quartapp.testing makes it an error.",
        ),
        is_error=False,
    ),
    Failure(
        "hook",
        "An error before the view",
        "A before_request function fails, so the view does not run.",
    ),
    Failure(
        "exit",
        "sys.exit in a view",
        "A view calls sys.exit(), as a script would. It is answered and reported like an "
        "exception, and the server goes on.",
        needs="App",
    ),
    Failure(
        "abort",
        "abort(418)",
        "A view aborts with a status. That is an answer and no error, so nothing is recorded.",
        is_error=False,
    ),
    Failure(
        "reference",
        "A reference to remember",
        "A view fails, and the visitor sees a page with a reference. Copy it: it is all that "
        "somebody who complains can tell you.",
        (
            "Choose “as in production” to see it. The line in the log and the mail have the same "
            "reference, and the inbox finds it.",
        ),
    ),
)


def limit_of(app: Quart) -> float:
    """Seconds that a statement of the application's database may take; 0 if there is no limit."""
    engine = getattr(app.extensions.get("database"), "engine", None)
    driver = engine.dialect.dbapi if engine is not None else None
    return float(getattr(driver, "statement_timeout", None) or 0)


def offered(app: Quart) -> Iterator[Failure]:
    """The failures that are possible in an application."""
    has = {
        "": True,
        "App": hasattr(app, "create_debugger"),
        "database": hasattr(app.extensions.get("database"), "session"),
        "limit": limit_of(app) > 0,
    }
    return (failure for failure in FAILURES if has[failure.needs])
