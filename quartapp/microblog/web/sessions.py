"""Where a person is logged in, and which programs have a token: to look at, and to end."""

from typing import NamedTuple

from quart import ResponseReturnValue
from werkzeug.wrappers import Response

from quartapp.flasklike import Blueprint, flash, redirect, url_for
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import LoginRequiredError, NotFoundError
from quartapp.microblog.identity import current_person, log_out
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.models.login import (
    LoginRow,
    end_login,
    end_logins,
    find_login,
    other_logins,
)
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.token import TokenRow, revoke_own_token, revoke_tokens, tokens_of
from quartapp.microblog.trail import latest_events, record_event
from quartapp.microblog.web.devices import describe
from quartapp.microblog.web.posts import wanted_page
from quartapp.microblog.web.presentation import Moment, neighbours, show_events, show_moment
from quartapp.microblog.web.validation import EmptyForm, show

blueprint = Blueprint("sessions", __name__)

MOST_TOKENS = 25
"""How many tokens the page shows; `GET /api/tokens` lists all."""


MOST_EVENTS = 10
"""How many security events the page shows; `/security` has more."""


class LoginView(NamedTuple):
    """A login as the page shows it."""

    device: str
    address: str
    remembered: bool
    since: Moment
    last_seen: Moment
    end_url: str


class TokenView(NamedTuple):
    """A token as the page shows it; `allows` is its scope in words."""

    name: str
    allows: str
    since: Moment
    expires: str
    revoke_url: str


@blueprint.get("/sessions")
async def sessions() -> ResponseReturnValue:
    """The logins and tokens of the person who is logged in."""
    person = current_person()
    own = await find_login(db, person.id, person.login_id)
    if own is None:  # it has ended since the request began
        raise LoginRequiredError
    events = await latest_events(person.id)
    page = await other_logins(db, person.id, person.login_id, wanted_page())
    tokens = await tokens_of(db, person.id, PageRequest(MOST_TOKENS))
    newer, older = neighbours(page, "sessions.sessions", {})
    return await show(
        "sessions.html",
        await EmptyForm.load(),
        title="Logins",
        own=_show_login(own),
        others=[_show_login(row) for row in page.items],
        newer_url=newer,
        older_url=older,
        tokens=[_show_token(row) for row in tokens.items],
        has_more_tokens=tokens.has_older,
        events=show_events(events[:MOST_EVENTS]),
    )


@blueprint.post("/sessions/<int:login_id>/end")
async def end(login_id: int) -> ResponseReturnValue:
    """End one login. One's own is a logout."""
    person = current_person()
    await (await EmptyForm.load()).validate_on_submit()
    if login_id == person.login_id:
        record_event(EventKind.LOGOUT, person.id)
        await log_out()
        await flash("You are logged out.")
        return redirect(url_for("posts.index"))
    if not await end_login(db, person.id, login_id):
        return await _done("The login had ended already.")
    return await _done("The login is ended.", EventKind.LOGIN_ENDED)


@blueprint.post("/sessions/end_others")
async def end_others() -> ResponseReturnValue:
    """End all logins but this one."""
    person = current_person()
    await (await EmptyForm.load()).validate_on_submit()
    await end_logins(db.session, person.id, but=person.login_id)
    return await _done("All other logins are ended.", EventKind.LOGIN_ENDED, "all others")


@blueprint.post("/sessions/tokens/<int:token_id>/revoke")
async def revoke(token_id: int) -> ResponseReturnValue:
    """Revoke one token of the API."""
    person = current_person()
    await (await EmptyForm.load()).validate_on_submit()
    try:
        await revoke_own_token(db, person.id, token_id)
    except NotFoundError:
        return await _done("The token had ended already.")
    return await _done("The token is revoked.", EventKind.TOKEN_REVOKED)


@blueprint.post("/sessions/tokens/revoke_all")
async def revoke_all() -> ResponseReturnValue:
    """Revoke all tokens of the API."""
    person = current_person()
    await (await EmptyForm.load()).validate_on_submit()
    await revoke_tokens(db.session, person.id)
    return await _done("All tokens are revoked.", EventKind.TOKEN_REVOKED, "all")


async def _done(message: str, kind: EventKind | None = None, detail: str = "") -> Response:
    await db.session.commit()
    if kind is not None:
        record_event(kind, current_person().id, detail)
    await flash(message)
    return redirect(url_for("sessions.sessions"))


def _show_login(row: LoginRow) -> LoginView:
    now = utc_now()
    return LoginView(
        describe(row.user_agent),
        row.address,
        row.remembered,
        show_moment(row.created_at, now),
        show_moment(row.last_seen, now),
        url_for("sessions.end", login_id=row.id),
    )


def _show_token(row: TokenRow) -> TokenView:
    now = utc_now()
    return TokenView(
        row.name or "Without a name",
        _ALLOWED.get(row.scope, row.scope),
        show_moment(row.created_at, now),
        show_moment(row.expires_at, now).exact,
        url_for("sessions.revoke", token_id=row.id),
    )


_ALLOWED = {"read": "may read", "write": "may write", "read write": "may read and write"}
