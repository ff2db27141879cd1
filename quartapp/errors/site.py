"""What the error pages of one application know of it: its texts, its look, and its other parts."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from quart import Quart, current_app

from quartapp.errors.plain import PlainPage
from quartapp.errors.settings import ErrorPagesSettings
from quartapp.errors.texts import RECORDED, ClientError, describe

Rollback = Callable[[], Any]
"""Ends the transaction of the current request; may be asynchronous."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How errors of a class are answered. Each of the last five is a value, or a function of the
    error; what is empty is the default of the status."""

    status: int
    expected: bool
    code: Any
    title: Any
    detail: Any
    headers: Any
    extensions: Any

    def describe(self, site: "Site", error: Exception) -> ClientError:
        """What the client learns about this error."""

        def value(given: Any) -> Any:
            return given(error) if callable(given) else given

        described = site.describe(
            self.status,
            value(self.detail),
            headers=_pairs(value(self.headers)),
            extensions=_pairs(value(self.extensions)),
        )
        code, title = value(self.code) or described.code, value(self.title) or described.title
        return replace(described, code=str(code), title=str(title))


class Site:
    """The state of ErrorPages in one application: `app.extensions["errors"]`.

    Without an application it has the default texts, and records nothing.
    """

    def __init__(
        self,
        app: Quart | None = None,
        page: PlainPage | None = None,
        settings: ErrorPagesSettings | None = None,
        rollback: Rollback | None = None,
    ) -> None:
        self.app = app
        settings = settings or ErrorPagesSettings()
        self.page = page or PlainPage()
        self.contact = settings.errors_contact
        self.api_paths = settings.errors_api_paths
        self.rollback = rollback
        self.texts: dict[int, dict[str, str]] = {}
        self.answers: dict[type[Exception], Answer] = {}
        self.templates: dict[int, tuple[str, ...]] = {}
        self.feedback_box: Callable[[str, str], str] | None = None
        self.admission: Any = None
        self.deadlines: Any = None

    def is_api(self, path: str) -> bool:
        """Whether a path belongs to the API: one of ERRORS_API_PATHS, or below it."""
        return any(path == api or path.startswith(f"{api}/") for api in self.api_paths)

    def describe(self, status: int, detail: str | None = None, **more: object) -> ClientError:
        """A ClientError with this application's texts; `more` replaces fields."""
        if status >= 500 and self.contact:
            more.setdefault("contact", self.contact)
        own = self.texts.get(status, {})
        return describe(status, detail or own.get("detail"), **(_other_than_detail(own) | more))

    def describe_failure(
        self, status: int = 500, detail: str = RECORDED, *, scope: Any = None, **more: object
    ) -> Any:
        """The same for an unhandled exception; it says `detail` only where that is recorded.

        Where the context of the request has ended, its `scope` is needed.
        """
        own = self.texts.get(status, {}).get("detail")
        reporting = self.reporting if status == 500 and not own else None
        is_recorded = reporting is not None and reporting.is_recorded(scope)
        return self.describe(status, own or (detail if is_recorded else None), **more)

    def answer_of(self, kind: type[Exception]) -> Answer | None:
        """How errors of a class are answered: as registered for it, or its nearest base class."""
        return next((self.answers[each] for each in kind.__mro__ if each in self.answers), None)

    @property
    def reporting(self) -> Any:
        """The part that records errors; None in an application without it."""
        is_used = self.app is not None and "reporting" in self.app.extensions
        return sys.modules["quartapp.reporting"] if is_used else None  # it has been imported

    def expect(self, name: str) -> None:
        """Have reporting count the 5xx of the current request instead of recording it."""
        if (reporting := self.reporting) is not None:
            reporting.expect(name)

    def reference(self) -> str | None:
        """The reference under which reporting records the error of the current request.

        None if it sees no request here, as where its middleware is inside that of ErrorPages.
        """
        reporting = self.reporting
        if reporting is None or not reporting.in_request():
            return None
        return cast(str, reporting.error_reference())

    def feedback(self, reference: str | None, root: str) -> str:
        """The box in which a person says what they did, as HTML; "" if there is none."""
        return self.feedback_box(reference, root) if self.feedback_box and reference else ""


def current_site() -> Site:
    """That of the current application."""
    return cast(Site, current_app.extensions["errors"])


def _other_than_detail(texts: Mapping[str, str]) -> dict[str, object]:
    return {name: text for name, text in texts.items() if name != "detail"}


def _pairs(given: Mapping[str, Any] | Iterable[tuple[str, Any]] | None) -> tuple[Any, ...]:
    return tuple(given.items() if isinstance(given, Mapping) else given or ())
