"""Keeping what a person typed into a form that failed (docs/decisions/0095).

The page of an error shows the form again with a new token, and so does the page after a missing
login. Until the login the text is in a hidden field of the login page and not in a cookie, so it
may have any length. Passwords are never kept.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from quart import ResponseReturnValue, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from wtforms import PasswordField

from quartapp.flasklike import url_for
from quartapp.inbox.tokens import is_foreign
from quartapp.microblog.exceptions import LoginRequiredError
from quartapp.microblog.identity import visitor
from quartapp.microblog.web.forms import (
    ChangeEmailForm,
    ChangePasswordForm,
    DeleteAccountForm,
    EditProfileForm,
    LoginForm,
    PostForm,
    RegistrationForm,
    ResetPasswordForm,
    ResetPasswordRequestForm,
)
from quartapp.microblog.web.validation import MAX_FORM_PARTS, EmptyForm, Form, read_form, show

# The forms by their endpoint, with the labels of their buttons.
_FORMS: Mapping[str, tuple[type[Form], str]] = {
    "accounts.change_email_confirm": (EmptyForm, "Confirm"),
    "accounts.change_email_request": (ChangeEmailForm, "Change email address"),
    "accounts.change_password": (ChangePasswordForm, "Change password"),
    "accounts.confirm_email_done": (EmptyForm, "Confirm"),
    "accounts.confirm_email_request": (EmptyForm, "Send the mail again"),
    "accounts.delete": (DeleteAccountForm, "Delete account"),
    "accounts.reset_password": (ResetPasswordForm, "Set password"),
    "accounts.reset_password_request": (ResetPasswordRequestForm, "Send link"),
    "auth.login": (LoginForm, "Sign In"),
    "auth.logout": (EmptyForm, "Log out"),
    "auth.register": (RegistrationForm, "Register"),
    "posts.delete": (EmptyForm, "Delete"),
    "posts.index": (PostForm, "Post"),
    "profile.edit_profile": (EditProfileForm, "Submit"),
    "profile.follow_user": (EmptyForm, "Follow"),
    "profile.unfollow_user": (EmptyForm, "Unfollow"),
    "sessions.end": (EmptyForm, "End the login"),
    "sessions.end_others": (EmptyForm, "End all other logins"),
    "sessions.revoke": (EmptyForm, "Revoke the token"),
    "sessions.revoke_all": (EmptyForm, "Revoke all tokens"),
}

# The forms that are kept until after a login.
_OF_PEOPLE = frozenset({"posts.index", "profile.edit_profile"})


class Kept(NamedTuple):
    """A form that can be sent again: its address, its contents, and the label of its button."""

    action: str
    form: Form
    button: str


async def kept_form() -> Kept | None:
    """The form of the current request, ready to be sent again; None if there is none.

    A form that another site made the browser send is not shown to the person as theirs.
    """
    endpoint = request.endpoint or ""
    if request.method != "POST" or endpoint not in _FORMS or is_foreign(request):
        return None
    try:
        sent = await read_form()
    except HTTPException:  # the body is not a form, or was not received
        return None
    return _fill(endpoint, _address(), sent)


def back_url() -> str | None:
    """The page of this site that linked here; None if there is none, or if it is this page."""
    try:
        referrer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # "http://[::1", and nothing else that browsers send
        return None
    if referrer.netloc != request.host:
        return None
    address = referrer._replace(scheme="", netloc="", fragment="").geturl()
    return address if request.method != "GET" or address != _address() else None


def _address() -> str:
    query = request.query_string.decode("ascii", "replace")
    return request.root_path + request.path + (f"?{query}" if query else "")


def lacks_login() -> bool:
    """Whether a form was sent without a login: answer it with `ask_to_log_in`."""
    return request.method == "POST" and visitor().person is None


async def ask_to_log_in() -> ResponseReturnValue:
    """The login page, which keeps what was typed.

    Raises 400 or 415 for a body that is not a form; LoginRequiredError for programs, and for a form
    that another site sent.
    """
    accept = request.accept_mimetypes
    if is_foreign(request) or (accept and not accept.accept_html):
        raise LoginRequiredError
    form = LoginForm(data={"kept": _pack(request.endpoint or "", await read_form())})
    page, _ = await show("login.html", form, title="Sign In", waiting=True)
    return page, 401


def _pack(endpoint: str, sent: MultiDict[str, str]) -> str:
    names = _kept_names(_FORMS[endpoint][0])
    fields = [(name, value) for name, value in sent.items(multi=True) if name in names]
    return json.dumps([endpoint, fields], ensure_ascii=False)


def unpack(text: str | None) -> Kept | None:
    """The form that the login page kept; None if there is none, or if the text is invalid."""
    try:
        endpoint, fields = json.loads(text or "")
        if len(fields) > MAX_FORM_PARTS:
            return None
        sent = MultiDict([(str(name), str(value)) for name, value in fields])
    except (ValueError, TypeError, RecursionError):
        return None
    if not (isinstance(endpoint, str) and endpoint in _OF_PEOPLE):
        return None
    return _fill(endpoint, url_for(endpoint), sent)


def _fill(endpoint: str, action: str, sent: MultiDict[str, str]) -> Kept:
    kind, button = _FORMS[endpoint]
    names = _kept_names(kind)
    typed = [(name, value) for name, value in sent.items(multi=True) if name in names]
    form = kind(MultiDict(typed))
    form.clean()
    return Kept(action, form, button)


def _kept_names(kind: type[Form]) -> set[str]:
    return {
        field.name
        for field in kind()
        if not isinstance(field, PasswordField) and field.name != "csrf_token"
    }
