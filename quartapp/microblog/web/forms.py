"""The forms. Names and labels are those of the tutorial; messages say what to do."""

import secrets
from typing import Any

from wtforms import (
    BooleanField,
    EmailField,
    Field,
    HiddenField,
    PasswordField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, Email, EqualTo, InputRequired, ValidationError

from quartapp.database import request_session
from quartapp.microblog.exceptions import EmailTakenError, UsernameTakenError
from quartapp.microblog.models.post import BODY_LENGTH
from quartapp.microblog.models.text import email_address, one_line, paragraphs, username_fault
from quartapp.microblog.models.user import (
    ABOUT_ME_LENGTH,
    EMAIL_LENGTH,
    PASSWORD_LENGTH,
    USERNAME_LENGTH,
    is_email_taken,
    is_username_taken,
)
from quartapp.microblog.web.validation import Form, Text


def _one_line(value: str | None) -> str:
    return one_line(value or "")


def _paragraphs(value: str | None) -> str:
    return paragraphs(value or "")


def _email(value: str | None) -> str:
    return email_address(value or "")


def _username_field(autocomplete: str = "username") -> StringField:
    return StringField(
        "Username",
        filters=[_one_line],
        validators=[
            DataRequired("Please enter a username."),
            Text(USERNAME_LENGTH, username_fault),
        ],
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
        render_kw={"autocomplete": autocomplete},
    )


class LoginForm(Form):
    """`kept` contains a form that was sent without a login."""

    username = _username_field()
    password = _password_field("Password", "current-password")
    remember_me = BooleanField("Remember Me")
    kept = HiddenField()


class RegistrationForm(Form):
    username = _username_field()
    email = EmailField(
        "Email",
        filters=[_email],
        validators=[
            DataRequired("Please enter an email address."),
            Text(EMAIL_LENGTH),
            Email("Please enter an address such as name@example.com."),
        ],
        render_kw={"autocomplete": "email"},
    )
    password = _password_field("Password", "new-password")
    password2 = _password_field(
        "Repeat Password", "new-password", EqualTo("password", "The passwords differ.")
    )

    async def check_username(self, field: Field) -> None:
        if await is_username_taken(request_session(), field.data):
            raise ValidationError(UsernameTakenError.message)

    async def check_email(self, field: Field) -> None:
        if await is_email_taken(request_session(), field.data):
            raise ValidationError(EmailTakenError.message)


class EditProfileForm(Form):
    """Set `original_username` before validation: the person may keep that name."""

    username = _username_field()
    about_me = TextAreaField(
        "About me",
        filters=[_paragraphs],
        validators=[Text(ABOUT_ME_LENGTH)],
        description=f"At most {ABOUT_ME_LENGTH} characters.",
        render_kw={"rows": "4", "maxlength": False},
    )
    original_username = ""

    async def check_username(self, field: Field) -> None:
        if field.data == self.original_username:
            return
        if await is_username_taken(request_session(), field.data):
            raise ValidationError(UsernameTakenError.message)


class PostForm(Form):
    """`form_key` is the same when a form is sent again, and new when the page is loaded again."""

    post = TextAreaField(
        "Say something",
        filters=[_paragraphs],
        validators=[DataRequired("Please write something."), Text(BODY_LENGTH)],
        description=f"At most {BODY_LENGTH} characters.",
        render_kw={"rows": "3", "maxlength": False},
    )
    form_key = HiddenField(default=secrets.token_urlsafe)
