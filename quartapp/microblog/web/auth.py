"""Registering, logging in and logging out."""

from markupsafe import Markup
from quart import ResponseReturnValue, request

from quartapp.flasklike import Blueprint, flash, redirect, render_template, url_for
from quartapp.microblog.accounts import accounts
from quartapp.microblog.credentials import MANY_FAILURES, authenticate, failures_before
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import ConflictError
from quartapp.microblog.identity import (
    fits_into_next,
    log_in,
    log_out,
    viewer_id,
    visitor,
)
from quartapp.microblog.models.account import register as register_person
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.passwords import hash_password, hasher
from quartapp.microblog.throttling import limit_registrations
from quartapp.microblog.trail import record_event
from quartapp.microblog.web.forms import LoginForm, RegistrationForm
from quartapp.microblog.web.kept import unpack
from quartapp.microblog.web.validation import EmptyForm, show

blueprint = Blueprint("auth", __name__)


@blueprint.route("/login", methods=["GET", "POST"])
async def login() -> ResponseReturnValue:
    """Issue a login cookie, and redirect to `next` if that is a page of this site.

    If the login page kept a form, that form is shown instead, ready to be sent.
    """
    if request.method == "POST":
        hasher().require_room()  # before any work is done
    form = await LoginForm.load()
    if visitor().person is not None:
        return await _show_kept(form) or redirect(url_for("posts.index"))
    if await form.validate_on_submit():
        credentials = await authenticate(form.username.data or "", form.password.data or "")
        if credentials is not None:
            remember = bool(form.remember_me.data)
            failures = await failures_before(credentials.id)
            if await log_in(
                credentials.id, credentials.username, credentials.login_epoch, remember=remember
            ):
                record_event(EventKind.LOGIN, credentials.id)
                await _mention(failures)
                destination = safe_destination(request.args.get("next")) or url_for("posts.index")
                return await _show_kept(form) or redirect(destination)
            await flash("Your logins were ended at this moment. Please log in again.", "error")
        else:
            await flash("Invalid username or password", "error")
        return (await show("login.html", form, title="Sign In"))[0], 422
    return await show("login.html", form, title="Sign In")


async def _mention(failures: int) -> None:
    if failures < MANY_FAILURES:
        return
    link = Markup('<a href="{}">see what happened</a>').format(url_for("security.security"))
    text = "{} wrong passwords were given for your account since your last login: {}."
    await flash(Markup(text).format(failures, link), "error")


async def _show_kept(form: LoginForm) -> str | None:
    kept = unpack(form.kept.data)
    return await render_template("kept.html", title="Welcome back", kept=kept) if kept else None


@blueprint.route("/logout", methods=["GET", "POST"])
async def logout() -> ResponseReturnValue:
    """End the login. A GET, which any other site can cause, only asks for confirmation."""
    if request.method == "POST" and visitor().person is None:  # in another tab, for example
        await log_out()
        return redirect(url_for("posts.index"))
    form = await EmptyForm.load()
    if await form.validate_on_submit():
        record_event(EventKind.LOGOUT, viewer_id())
        await log_out()
        await flash("You are logged out.")
        return redirect(url_for("posts.index"))
    return await show("logout.html", form, title="Log out")


@blueprint.route("/register", methods=["GET", "POST"])
async def register() -> ResponseReturnValue:
    """Add a person, and redirect to the login."""
    if visitor().person is not None:
        return redirect(url_for("posts.index"))
    if request.method == "POST":
        await limit_registrations()  # also before the form says which names are taken
    form = await RegistrationForm.load()
    if await form.validate_on_submit():
        try:
            await _register(form)
        except ConflictError as error:
            form.refuse_conflict(error)
        else:
            await flash("Congratulations, you are now a registered user!")
            return redirect(url_for("auth.login"))
    return await show("register.html", form, title="Register")


async def _register(form: RegistrationForm) -> None:
    password_hash = await hash_password(form.password.data or "")
    session = db.session
    user_id = await register_person(
        session,
        form.username.data or "",
        form.email.data or "",
        password_hash,
        confirms=accounts().confirmation != "off",
    )
    await session.commit()
    record_event(EventKind.REGISTERED, user_id)


def safe_destination(target: str | None) -> str | None:
    """The target if it is a path of this site and not too long, otherwise None.

    Browsers parse `//host` and `/\\host` as another host, after removing tabs and line ends (WHATWG
    URL, "basic URL parser").
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    good = "\\" not in target and target.isprintable() and fits_into_next(target)
    return target if good else None
