"""What a client learns about an error: a status, a stable code, and texts for people."""

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class ClientError:
    """What a client learns about an error. All its texts are safe to show to anybody.

    `code` is stable; `title` is a heading; `detail` says what happened and what to do. `contact` is
    whom to ask, a mail address or the address of a page, for errors that the client cannot remedy.
    """

    status: int
    code: str
    title: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()
    extensions: tuple[tuple[str, object], ...] = ()
    contact: str = ""


RECORDED = "The error has been recorded. Sorry for the inconvenience!"
"""The detail of a 500 where reporting has recorded it."""

NOTIFIED = "The administrator has been notified. Sorry for the inconvenience!"
"""The detail of a 500 about which reporting sends mails."""

# Texts for the users of a site; werkzeug's descriptions are for developers.
_DETAILS = {
    400: "Your browser sent something that this server could not understand.",
    401: "Please log in to see this page.",
    403: "You are not allowed to see this page.",
    404: "There is no such page here. It may have moved, or the address may be mistyped.",
    408: "What you sent did not arrive in time. Please try again.",
    405: "This address does not take this kind of request.",
    413: "What you sent is larger than this server accepts.",
    415: "What you sent is of a kind that this address does not take.",
    429: "You are sending requests faster than this server takes them. Please wait a little.",
    500: "Something went wrong on this server. Sorry for the inconvenience!",
    502: "A server that this page depends on gave no proper answer. Please try again.",
    503: "The server is busy right now. Please try again in a moment.",
    504: "A server that this page depends on did not answer in time. Please try again.",
}

# RFC 9110's phrases, where Python's depend on its version; the codes are derived from them.
_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}

_TITLES = {404: "Not Found", 500: "An unexpected error has occurred"}


def describe(status: int, detail: str | None = None, **more: object) -> ClientError:
    """A ClientError with the default texts of a status; `more` replaces fields.

    A text may be any object with `__str__`, such as a translation that is made late.
    """
    phrase = phrase_of(status)
    values: dict[str, object] = {
        "status": status,
        "code": phrase.lower().replace(" ", "-").replace("'", ""),
        "title": _TITLES.get(status, phrase),
        "detail": detail or _DETAILS.get(status) or f"The server answered: {phrase}.",
    }
    values |= more
    values |= {name: str(values[name]) for name in ("code", "title", "detail")}
    return ClientError(**values)  # type: ignore[arg-type]  # the fields, by name


def phrase_of(status: int) -> str:
    """HTTP's name of a status: "Not Found"."""
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
