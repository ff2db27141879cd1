"""The forms. Names and labels are those of the tutorial; messages say what to do."""

import secrets
from typing import Any

from wtforms import (
    BooleanField,
    EmailField,
    Field,
    HiddenField,
    PasswordField,
    RadioField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # not in its stubs
from wtforms.validators import DataRequired, Email, EqualTo, InputRequired, ValidationError

from quartapp.microblog.database import db
from quartapp.microblog.exceptions import EmailTakenError, UsernameTakenError
from quartapp.microblog.models.post import BODY_LENGTH
from quartapp.microblog.models.text import email_address, normalized, paragraphs, username_fault
from quartapp.microblog.models.user import (
    ABOUT_ME_LENGTH,
    EMAIL_LENGTH,
    PASSWORD_LENGTH,
    USERNAME_LENGTH,
    is_email_taken,
    is_username_taken,
)
from quartapp.microblog.names import new_name_fault
from quartapp.microblog.passwords import find_password_fault
from quartapp.microblog.web.validation import Form, Text
from quartapp.microblog.web.widgets import (
    EmailInput,
    HiddenInput,
    PasswordInput,
    TextArea,
    TextInput,
)


def _username_field(autocomplete: str = "username") -> StringField:
    return StringField(
        "Username",
        validators=[
            DataRequired("Please enter a username."),
            Text(USERNAME_LENGTH, normalized, username_fault),
        ],
        widget=TextInput(),
        render_kw={"autocomplete": autocomplete, "autocapitalize": "none", "spellcheck": "false"},
    )


def _password_field(label: str, autocomplete: str, *validators: Any) -> PasswordField:
    return PasswordField(
        label,
        validators=[
            InputRequired("Please enter the password."),
            Text(PASSWORD_LENGTH),
            *validators,
        ],
        widget=PasswordInput(),
        render_kw={"autocomplete": autocomplete},
    )


def _repeated_password_field() -> PasswordField:
    same = EqualTo("password", "The passwords differ.")
    return _password_field("Repeat Password", "new-password", same)


def _email_field(label: str) -> EmailField:
    return EmailField(
        label,
        validators=[
            DataRequired("Please enter an email address."),
            Text(EMAIL_LENGTH, email_address),
            Email("Please enter an address such as name@example.com."),
        ],
        widget=EmailInput(),
        render_kw={"autocomplete": "email"},
    )


async def _check_new_password(password: str, *names: str) -> None:
    if fault := await find_password_fault(password, *names):
        raise ValidationError(fault)


async def _check_new_name(username: str, but: int = 0) -> None:
    if fault := new_name_fault(username):
        raise ValidationError(fault)
    if await is_username_taken(db, username, but):
        raise ValidationError(UsernameTakenError.message)


class LoginForm(Form):
    """`kept` contains a form that was sent without a login."""

    username = _username_field()
    password = _password_field("Password", "current-password")
    remember_me = BooleanField("Remember Me")
    kept = HiddenField(widget=HiddenInput())


class RegistrationForm(Form):
    username = _username_field()
    email = _email_field("Email")
    password = _password_field("Password", "new-password")
    password2 = _repeated_password_field()

    async def check_username(self, field: Field) -> None:
        await _check_new_name(field.data)

    async def check_password(self, field: Field) -> None:
        await _check_new_password(field.data, self["username"].data, self["email"].data)

    async def check_email(self, field: Field) -> None:
        if await is_email_taken(db, field.data):
            raise ValidationError(EmailTakenError.message)


class _NewPasswordForm(Form):
    """Set `names` before validation: the password may not be made of them."""

    names: tuple[str, ...] = ()

    async def check_password(self, field: Field) -> None:
        await _check_new_password(field.data, *self.names)


class ChangePasswordForm(_NewPasswordForm):
    current_password = _password_field("Current Password", "current-password")
    password = _password_field("New Password", "new-password")
    password2 = _repeated_password_field()


class ResetPasswordForm(_NewPasswordForm):
    password = _password_field("New Password", "new-password")
    password2 = _repeated_password_field()


class ResetPasswordRequestForm(Form):
    email = _email_field("Email")


class ChangeEmailForm(Form):
    password = _password_field("Password", "current-password")
    email = _email_field("New Email")

    async def check_email(self, field: Field) -> None:
        if await is_email_taken(db, field.data):
            raise ValidationError(EmailTakenError.message)


class DeleteAccountForm(Form):
    posts = RadioField(
        "Your posts",
        choices=[
            SelectChoice("delete", "Delete them too"),
            SelectChoice("keep", 'Keep them, by the author "deleted"'),
        ],
        default="delete",
    )
    password = _password_field("Password", "current-password")


class EditProfileForm(Form):
    """Set `user_id` and `original_username` before validation.

    The person may keep that name, also if it would be refused today.
    """

    username = _username_field()
    about_me = TextAreaField(
        "About me",
        validators=[Text(ABOUT_ME_LENGTH, paragraphs)],
        description=f"At most {ABOUT_ME_LENGTH} characters.",
        widget=TextArea(),
        render_kw={"rows": "4", "maxlength": False},
    )
    user_id = 0
    original_username = ""

    async def check_username(self, field: Field) -> None:
        if field.data != self.original_username:
            await _check_new_name(field.data, but=self.user_id)


class PostForm(Form):
    """`form_key` is the same when a form is sent again, and new when the page is loaded again."""

    post = TextAreaField(
        "Say something",
        validators=[DataRequired("Please write something."), Text(BODY_LENGTH, paragraphs)],
        description=f"At most {BODY_LENGTH} characters.",
        widget=TextArea(),
        render_kw={"rows": "3", "maxlength": False},
    )
    form_key = HiddenField(default=secrets.token_urlsafe, widget=HiddenInput())
