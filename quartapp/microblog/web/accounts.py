"""Changing and resetting the password, changing and confirming the address, deleting the account.

A change needs the password again, or a link that was mailed. No view says whether
somebody has an account, and all work without scripts.
"""

from quart import ResponseReturnValue, request

from quartapp.flasklike import Blueprint, Response, flash, redirect, url_for
from quartapp.http_methods import SAFE_METHODS
from quartapp.microblog.accounts import accounts
from quartapp.microblog.accounts.links import Purpose
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import ConflictError, EmailUnconfirmedError, LoginRequiredError
from quartapp.microblog.identity import current_person, log_out, visitor
from quartapp.microblog.models.account import (
    Account,
    change_email,
    confirm_email,
    delete_account,
    find_account,
    set_password,
)
from quartapp.microblog.models.account_mail import MailKind, queue_mail
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.passwords import hash_password
from quartapp.microblog.throttling import limit_mails
from quartapp.microblog.trail import record_event
from quartapp.microblog.web.confirmation import is_own_password
from quartapp.microblog.web.forms import (
    ChangeEmailForm,
    ChangePasswordForm,
    DeleteAccountForm,
    ResetPasswordForm,
    ResetPasswordRequestForm,
)
from quartapp.microblog.web.validation import EmptyForm, Form, show

blueprint = Blueprint("accounts", __name__)

_WRONG_PASSWORD = "This is not your password. Please try again."
_CHANGED_MEANWHILE = "Your account was changed at this moment in another window. Please try again."
_OLD_LINK = (
    "This link is not valid any more: it was used, or it is too old. Please ask for a new one."
)

# What a person whose address is not confirmed may do where that is required: change the account,
# and end a login that is not theirs.
_BEFORE_CONFIRMING = frozenset({blueprint.name, "sessions"})


@blueprint.before_app_request
async def require_confirmation() -> None:
    """Where it is required, let people write once their address is confirmed.

    Raises EmailUnconfirmedError. They may log out, end logins and tokens, and change or confirm the
    address.
    """
    person = visitor().person
    if person is None or accounts().may_write(is_confirmed=person.is_confirmed):
        return
    if request.method in SAFE_METHODS or request.blueprint in _BEFORE_CONFIRMING:
        return
    if request.endpoint not in {"auth.logout", "static"}:
        raise EmailUnconfirmedError


@blueprint.after_request
async def keep_nothing(response: Response) -> Response:
    """Let nothing keep these pages, nor tell their addresses, which hold tokens.

    Not even the next page of this site learns them: an error there would report its `Referer`.
    """
    response.headers["Cache-Control"] = "no-store"
    # Not no-referrer: browsers would send `Origin: null` with our own forms.
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


@blueprint.route("/change_password", methods=["GET", "POST"])
async def change_password() -> ResponseReturnValue:
    """Set another password. This login stays; all others, and the tokens of the API, end."""
    person = current_person()
    account = await _own_account()
    form = await ChangePasswordForm.load()
    form.names = (account.username, account.email)
    if await form.validate_on_submit():
        if not await is_own_password(form.current_password.data or ""):
            form.refuse("current_password", _WRONG_PASSWORD)
        elif await _set_password(account, form.password.data or "", but=person.login_id):
            record_event(EventKind.PASSWORD_CHANGED, account.id)
            await flash("Your password is changed. All other logins have ended.")
            return redirect(url_for("profile.edit_profile"))
        else:
            form.refuse("current_password", _CHANGED_MEANWHILE)
    return await show(
        "change_password.html", form, title="Change your password", username=account.username
    )


@blueprint.route("/reset_password_request", methods=["GET", "POST"])
async def reset_password_request() -> ResponseReturnValue:
    """Have a link sent to an address, if somebody has it.

    The request does the same for every address: who has it is found out when the mail is sent.
    """
    form = await ResetPasswordRequestForm.load()
    can_mail = accounts().can_mail
    if can_mail and await form.validate_on_submit():
        await limit_mails(form.email.data or "")
        session = db.session
        await queue_mail(session, MailKind.RESET, form.email.data or "")
        await session.commit()
        record_event(EventKind.PASSWORD_RESET_REQUESTED)  # for whom is not known here
        await flash(
            "If somebody has an account with this address, a mail with a link is on its way to it."
        )
        return redirect(url_for("auth.login"))
    return await show(
        "reset_password_request.html", form, title="Reset your password", can_mail=can_mail
    )


@blueprint.route("/reset_password/<token>", methods=["GET", "POST"])
async def reset_password(token: str) -> ResponseReturnValue:
    """Set a password with a link that was mailed. All logins, and tokens of the API, end."""
    form = await ResetPasswordForm.load()
    account = await _owner_of(Purpose.RESET_PASSWORD, token)
    if account is None:
        return await _refuse_link("accounts.reset_password_request")
    form.names = (account.username, account.email)
    if await form.validate_on_submit():
        if not await _set_password(account, form.password.data or "", by_mail=True):
            return await _refuse_link("accounts.reset_password_request")
        record_event(EventKind.PASSWORD_RESET, account.id)
        await flash("Your password is changed. Please log in with it.")
        return redirect(url_for("auth.login"))
    return await show(
        "reset_password.html", form, title="Set a new password", username=account.username
    )


async def _set_password(
    account: Account, password: str, *, but: int | None = None, by_mail: bool = False
) -> bool:
    """Set a password, and queue the mail that says so; False if something was faster."""
    password_hash = await hash_password(password)
    session = db.session
    if not await set_password(session, account, password_hash, but=but):
        await session.rollback()
        return False
    if by_mail:  # the link came to the mailbox of this address
        await confirm_email(session, account.id, account.email)
    if accounts().can_mail:
        await queue_mail(session, MailKind.PASSWORD_CHANGED, account.email, user_id=account.id)
    await session.commit()
    return True


@blueprint.route("/change_email", methods=["GET", "POST"])
async def change_email_request() -> ResponseReturnValue:
    """Ask for another address, which is used once its mailbox has confirmed it.

    Where no mails are sent, it is used at once.
    """
    account = await _own_account()
    form = await ChangeEmailForm.load()
    if await form.validate_on_submit():
        if not await is_own_password(form.password.data or ""):
            form.refuse("password", _WRONG_PASSWORD)
        elif await _request_email(account, form):
            return redirect(url_for("profile.edit_profile"))
    return await show(
        "change_email.html",
        form,
        title="Change your email address",
        username=account.username,
        email=account.email,
        can_mail=accounts().can_mail,
    )


async def _request_email(account: Account, form: ChangeEmailForm) -> bool:
    session, email = db.session, form.email.data or ""
    if accounts().can_mail:
        await limit_mails(email)
        await queue_mail(session, MailKind.CHANGE, email, user_id=account.id)
        await session.commit()
        record_event(EventKind.EMAIL_CHANGE_REQUESTED, account.id)
        await flash("A mail is on its way to the new address. It is used once you follow its link.")
        return True
    try:
        if not await change_email(session, account, email, is_confirmed=False):
            form.refuse("password", _CHANGED_MEANWHILE)
            return False
    except ConflictError as error:
        form.refuse_conflict(error)
        return False
    await session.commit()
    record_event(EventKind.EMAIL_CHANGED, account.id)
    await flash("Your email address is changed.")
    return True


@blueprint.route("/change_email/<token>", methods=["GET", "POST"])
async def change_email_confirm(token: str) -> ResponseReturnValue:
    """Use a new address, by the link that was mailed to it. A GET, as of a scanner, only asks."""
    form = await EmptyForm.load()
    claim = accounts().links.read(Purpose.CHANGE_EMAIL, token)
    account = await _owner_of(Purpose.CHANGE_EMAIL, token)
    if account is None or claim is None:
        return await _refuse_link("accounts.change_email_request")
    if await form.validate_on_submit():
        session = db.session
        try:
            is_done = await change_email(session, account, claim.address, is_confirmed=True)
        except ConflictError as error:
            await flash(error.message, "error")
            return redirect(url_for("accounts.change_email_request"))
        if not is_done:
            await session.rollback()
            return await _refuse_link("accounts.change_email_request")
        await queue_mail(session, MailKind.EMAIL_CHANGED, account.email, user_id=account.id)
        await session.commit()
        record_event(EventKind.EMAIL_CHANGED, account.id)
        await flash("Your email address is changed.")
        return redirect(url_for("posts.index"))
    return await _ask(form, "Use this email address", claim.address, account.username)


@blueprint.route("/confirm_email", methods=["GET", "POST"])
async def confirm_email_request() -> ResponseReturnValue:
    """Have the mail for the confirmation of one's address sent again."""
    account = await _own_account()
    form = await EmptyForm.load()
    can_mail = accounts().can_mail and account.email_confirmed_at is None
    if can_mail and await form.validate_on_submit():
        await limit_mails(account.email)
        session = db.session
        await queue_mail(session, MailKind.CONFIRM, account.email, user_id=account.id)
        await session.commit()
        await flash("A mail with a link is on its way to you.")
        return redirect(url_for("accounts.confirm_email_request"))
    return await show(
        "confirm_email.html",
        form,
        title="Confirm your email address",
        email=account.email,
        is_confirmed=account.email_confirmed_at is not None,
        can_mail=can_mail,
    )


@blueprint.route("/confirm_email/<token>", methods=["GET", "POST"])
async def confirm_email_done(token: str) -> ResponseReturnValue:
    """Confirm an address, by the link that was mailed to it. A GET, as of a scanner, only asks."""
    form = await EmptyForm.load()
    account = await _owner_of(Purpose.CONFIRM_EMAIL, token)
    if account is None:
        return await _refuse_link("accounts.confirm_email_request")
    if await form.validate_on_submit():
        session = db.session
        if not await confirm_email(session, account.id, account.email):
            await session.rollback()
            return await _refuse_link("accounts.confirm_email_request")
        await session.commit()
        record_event(EventKind.EMAIL_CONFIRMED, account.id)
        await flash("Your email address is confirmed.")
        return redirect(url_for("posts.index"))
    return await _ask(form, "Confirm this email address", account.email, account.username)


@blueprint.route("/delete_account", methods=["GET", "POST"])
async def delete() -> ResponseReturnValue:
    """Delete one's account, with its posts or without."""
    account = await _own_account()
    form = await DeleteAccountForm.load(posts="delete")
    if await form.validate_on_submit():
        if not await is_own_password(form.password.data or ""):
            form.refuse("password", _WRONG_PASSWORD)
        else:
            session = db.session
            keep = form.posts.data == "keep"
            if await delete_account(session, account, keep_posts=keep):
                if accounts().can_mail:
                    await queue_mail(
                        session, MailKind.DELETED, account.email, username=account.username
                    )
                await session.commit()
                record_event(EventKind.ACCOUNT_DELETED, None)
            await log_out()
            await flash("Your account is deleted.")
            return redirect(url_for("posts.index"))
    return await show(
        "delete_account.html", form, title="Delete your account", username=account.username
    )


def asks_to_confirm() -> bool:
    """Whether a page asks the visitor to confirm their address. Never queries the database."""
    person = visitor().person
    is_asked = accounts().confirmation != "off" and request.blueprint != blueprint.name
    return is_asked and person is not None and not person.is_confirmed


async def _own_account() -> Account:
    person = current_person()
    account = await find_account(db, person.id)
    if account is None:
        raise LoginRequiredError
    return account


async def _owner_of(purpose: Purpose, token: str) -> Account | None:
    """The account that a link may change; None if the link is not valid (any more)."""
    claim = accounts().links.read(purpose, token)
    if claim is None:
        return None
    account = await find_account(db, claim.user_id)
    if account is None:
        return None
    return account if accounts().links.is_of(purpose, claim, account) else None


async def _refuse_link(endpoint: str) -> ResponseReturnValue:
    await flash(_OLD_LINK, "error")
    return redirect(url_for(endpoint))


async def _ask(form: Form, title: str, email: str, username: str) -> ResponseReturnValue:
    return await show("confirm_link.html", form, title=title, email=email, username=username)
