"""The blueprint with all routes."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from quart import Blueprint
from quart.blueprints import BlueprintSetupState

from quartapp.inbox.site import NAME

_ROUTES = (
    ("GET", "/", "list", "listing.errors"),
    ("POST", "/selected", "act_on_selected", "listing.act_on_selected"),
    ("GET", "/<error_id:group_id>", "one", "one.one"),
    ("GET", "/<error_id:group_id>.json", "one_json", "one.as_json"),
    ("GET", "/<error_id:group_id>.md", "one_markdown", "one.as_markdown"),
    ("POST", "/<error_id:group_id>/resolve", "resolve", "acts.resolve"),
    ("POST", "/<error_id:group_id>/reopen", "reopen", "acts.reopen"),
    ("POST", "/<error_id:group_id>/mute", "mute", "acts.mute"),
    ("POST", "/<error_id:group_id>/comment", "comment", "acts.comment"),
    ("POST", "/<error_id:group_id>/delete", "delete", "acts.delete"),
    ("GET", "/<error_id:group_id>/delete", "confirm_delete", "acts.confirm_delete"),
    ("GET", "/overview", "overview", "overview.overview"),
    ("GET", "/events", "events", "live.events.events"),
    ("GET", "/static/<name>", "static", "assets.static"),
)
"""Method, rule, endpoint (the name that `url(...)` takes), and module and function of each view."""


class _BuildOnly(BlueprintSetupState):
    """Adds rules by which the application builds addresses, and matches none: see `access`."""

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Any = None, **options: Any
    ) -> None:
        app: Any = self.app
        made = app.url_rule_class(
            f"{self.url_prefix}{rule}",
            endpoint=f"{self.name}.{endpoint or view_func.__name__}",
            methods=options.pop("methods", None) or ["GET"],
            defaults=options.pop("defaults", None),
        )
        made.build_only = True
        made.provide_automatic_options = False
        app.url_map.add(made)
        app.view_functions[made.endpoint] = view_func


class _Blueprint(Blueprint):
    def make_setup_state(self, app: Any, options: Any, first_registration: bool = False) -> Any:
        return _BuildOnly(self, app, options, first_registration)


def blueprint() -> Blueprint:
    """A blueprint with all routes of the inbox."""
    made = _Blueprint(NAME, __name__)
    for method, rule, endpoint, name in _ROUTES:
        made.add_url_rule(rule, endpoint, _later(name), methods=[method])
    return made


def _later(name: str) -> Callable[..., Awaitable[Any]]:
    """A view whose module is imported at its first request: only operators need it, and a start
    does not wait for it (docs/decisions/0075)."""
    module, _, function = name.rpartition(".")

    async def view(**values: Any) -> Any:
        return await getattr(import_module(f"quartapp.inbox.{module}"), function)(**values)

    return view
