"""What surrounds an error: the request, the variables of templates, statements and log lines.

All of it is shown to whoever sees the source, so it is masked as reports are: values under the
names of secrets are hidden, wherever they are, and no value's own code runs. Only what is in memory
is read: a body that the view has not read stays unread.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from quart import has_request_context, has_websocket_context, request, session, websocket
from quart.wrappers import Request
from quart.wrappers.base import BaseRequestWebsocket

from quartapp.breadcrumbs import Breadcrumb
from quartapp.debugger.page.frames import Frame
from quartapp.debugger.page.store import Failure
from quartapp.debugger.page.text import clean
from quartapp.redact.collect import SecretCollector, locals_of
from quartapp.redact.config import config_secrets
from quartapp.redact.context import Context
from quartapp.redact.introspection import as_name
from quartapp.redact.scrub import Scrubber, cut, window
from quartapp.redact.secret_names import HIDDEN
from quartapp.redact.values import is_secret, named

MAX_ROWS = 100
MAX_TEXT = 500
"""Characters of one value."""

_EVERYWHERE = frozenset({"request", "session", "g", "config", "url_for", "get_flashed_messages"})
"""Names that each template has."""


@dataclass(frozen=True)
class Table:
    """Names and values under a title."""

    title: str
    rows: list[tuple[str, str]]


@dataclass(frozen=True)
class Details:
    """What surrounds an error, without secrets. `omitted` counts older statements and lines."""

    request: list[Table] = field(default_factory=list)
    templates: list[Table] = field(default_factory=list)
    statements: list[Breadcrumb] = field(default_factory=list)
    log: list[Breadcrumb] = field(default_factory=list)
    omitted: int = 0
    secrets: frozenset[str] = frozenset()


def details_of(failure: Failure) -> Details:
    """The details of a failure; tables without rows are left out."""
    collector = SecretCollector()
    request = failure.context.run(_read_request, collector)
    templates = list(_read_templates(failure, collector))
    _search(failure, collector)
    tables = _scrubbed([*request, *templates], collector.secrets)
    ring = failure.breadcrumbs
    entries = ring.entries(collector.secrets) if ring else []
    return Details(
        request=[table for table in tables[: len(request)] if table.rows],
        templates=tables[len(request) :],
        statements=[entry for entry in entries if entry.kind == "sql"],
        log=[entry for entry in entries if entry.kind == "log"],
        omitted=ring.omitted if ring else 0,
        secrets=frozenset(collector.secrets),
    )


def _search(failure: Failure, collector: SecretCollector) -> None:
    """Find the secrets that a message or a log line may repeat, where reports look for them too."""
    for secret in config_secrets(failure.app.config) if failure.app else ():
        collector.named("secret", secret)
    for section in failure.sections:
        collector.named("", section.error)
        for frame in section.frames:
            if not frame.is_library:
                for name, value in locals_of(frame.frame):
                    collector.named(name, value)


def _read_request(collector: SecretCollector) -> list[Table]:
    found = _current()
    if found is None:
        return []
    is_request = isinstance(found, Request)
    form: Any = found._form if isinstance(found, Request) else None
    files: Any = found._files if isinstance(found, Request) else None
    json = _json(found) if isinstance(found, Request) else None
    url, kept = _url(found), _session()
    collector.context(
        Context(
            url=url,
            headers=list(found.headers.items()),
            form=form.to_dict(flat=False) if form else None,
            json=json,
            path_args=found.view_args,
            extra=kept,
        )
    )
    facts = {
        "method": found.method if is_request else "WEBSOCKET",
        "URL": url,
        "route": found.url_rule.rule if found.url_rule else "",
        "endpoint": found.endpoint or "",
    }
    return [
        Table("Request", [(name, text) for name, text in facts.items() if text]),
        _table("Arguments of the route", (found.view_args or {}).items()),
        _table("Query", found.args.items(multi=True)),
        Table("Headers", [(n, _header(n, v)) for n, v in _some(found.headers.items())]),
        _table("Form", form.items(multi=True) if form else ()),
        Table("Files", [(n, _file(f)) for n, f in _some(files.items(multi=True) if files else ())]),
        _table("JSON", json.items() if type(json) is dict else [("body", json)] if json else ()),
        _table("Session", kept.items()),
    ]


def _current() -> BaseRequestWebsocket | None:
    proxy: Any = request if has_request_context() else websocket
    if not has_request_context() and not has_websocket_context():
        return None
    found: BaseRequestWebsocket = proxy._get_current_object()
    return found


def _url(found: BaseRequestWebsocket) -> str:
    try:
        return found.url
    except Exception:  # noqa: BLE001 a host that is not in TRUSTED_HOSTS
        return found.path


def _json(found: Request) -> Any:
    return next((value for value in found._cached_json.values() if value is not Ellipsis), None)


def _session() -> Mapping[str, Any]:
    proxy: Any = session
    try:
        kept = proxy._get_current_object()
        return dict(dict.items(kept)) if isinstance(kept, dict) else {}
    except Exception:  # noqa: BLE001 what an extension puts into its place
        return {}


def _read_templates(failure: Failure, collector: SecretCollector) -> Iterable[Table]:
    """The variables of the innermost template of each exception, without those of every one."""
    for section in failure.sections:
        frame = next((each for each in reversed(section.frames) if each.is_template), None)
        if frame is None:
            continue
        own = dict(_own_variables(frame, failure))
        collector.pairs(own.items())
        yield _table(f"{frame.place}, line {frame.line}", own.items())


def _own_variables(frame: Frame, failure: Failure) -> Iterable[tuple[str, object]]:
    common = failure.app.jinja_env.globals if failure.app else {}
    for name, value in frame.frame.f_locals.items():
        if name not in _EVERYWHERE and common.get(name) is not value:
            yield name, value


def _table(title: str, pairs: Iterable[tuple[object, object]]) -> Table:
    names = [(as_name(name), value) for name, value in _some(pairs)]
    return Table(title, [(name, named(name, value)) for name, value in names])


def _some(pairs: Iterable[tuple[Any, Any]]) -> Iterable[tuple[Any, Any]]:
    return islice(pairs, MAX_ROWS)


def _header(name: str, value: str) -> str:
    return HIDDEN if is_secret(name, value) else value


def _file(file: Any) -> str:
    return f"{file.filename or '(no name)'} ({file.content_type or 'no type'})"[: window(MAX_TEXT)]


def _scrubbed(tables: list[Table], secrets: Iterable[str]) -> list[Table]:
    """The tables with all of their texts scrubbed together."""
    texts = [text for table in tables for row in table.rows for text in row]
    done = Scrubber().clean([text[: window(MAX_TEXT)] for text in texts], secrets=secrets)
    shown = iter([cut(clean(text), MAX_TEXT) for text in done])
    return [
        Table(clean(table.title), [(next(shown), next(shown)) for _ in table.rows])
        for table in tables
    ]
