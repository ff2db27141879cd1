"""The pages that people use: HTML in, HTML out. May not import `api` or `errors`.

A view reads the form, calls the queries of `models`, and renders plain rows; it never passes an ORM
entity to a template. `validation` has what all forms share, `presentation` the view models of
templates, `protection` the headers and checks of every request.
"""

from typing import Any

from quart import Quart, current_app, has_request_context

from quartapp.microblog.identity import visitor
from quartapp.microblog.web import (
    accounts,
    auth,
    avatars,
    health,
    posts,
    profile,
    protection,
    security,
    sessions,
)
from quartapp.microblog.web.kept import back_url, kept_form
from quartapp.microblog.web.validation import csrf_token


def init_app(app: Quart) -> None:
    """Register the pages, their protection, and what base.html needs."""
    protection.init_app(app)
    for module in (health, avatars, auth, accounts, posts, profile, security, sessions):
        app.register_blueprint(module.blueprint)
    app.context_processor(page_context)


async def page_context() -> dict[str, Any]:
    """What base.html and the error pages need; so nothing here queries the database."""
    current = visitor()
    name = current.name
    context: dict[str, Any] = {
        "current_user": current,
        "own_name": name,
        "is_admin": current.person is not None and current.person.is_admin,
        "csrf_token": csrf_token() if name else None,
    }
    if has_request_context():
        context["contact"] = current_app.config["CONTACT"]
        context["asks_to_confirm"] = accounts.asks_to_confirm()
        context |= {"kept": await kept_form(), "back_url": back_url()}
    return context
