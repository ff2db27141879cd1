"""What all forms share: reading, the CSRF token, checks that query the database.

WTForms is synchronous: an `async def validate_x` would be called and never awaited, so it would
always pass. Checks that query the database are methods `async def check_<field>(self, field)`. They
are awaited one after the other, because they share a session, for each field in which WTForms has
found no fault: all faults of a form are shown at once.
"""

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Self, cast
from urllib.parse import unquote_to_bytes

from quart import current_app, g, request, session
from werkzeug.datastructures import MultiDict
from wtforms import Field
from wtforms import Form as PlainForm
from wtforms.csrf.core import CSRFTokenField
from wtforms.csrf.session import SessionCSRF
from wtforms.form import BaseForm
from wtforms.validators import StopValidation, ValidationError

from quartapp.flasklike import abort, render_template
from quartapp.flasklike.sessions import signing_keys
from quartapp.http_methods import SAFE_METHODS
from quartapp.microblog.exceptions import ConflictError
from quartapp.microblog.identity import visitor
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.text import NOT_UTF8, text_fault

TOKEN_LIFE = timedelta(hours=12)
"""How long a page may stay open before its forms are rejected."""

MAX_FORM_PARTS = 100
"""The most fields of a form, as in Flask's setting, which is about multipart forms alone."""

_TOKEN_LENGTH = 100
"""In characters; a CSRF token has 56."""

_UNCLEANED = 4
"""How much longer than allowed a text may be before cleaning, which removes white space."""

_URLENCODED = "application/x-www-form-urlencoded"
_FORM_TYPES = frozenset({_URLENCODED, "multipart/form-data"})


def _csrf_secret(key: str | bytes) -> bytes:
    return f"{key!s}{visitor().login_digest()}".encode()


class _SessionCSRF(SessionCSRF):
    """WTForms' token in the session, generated once per request, with the application's clock.

    It is bound to the login: one from before a login, or of another one, is refused.
    """

    def generate_csrf_token(self, csrf_token_field: Any) -> str:
        login = visitor().login_digest()
        if len(signing_keys(current_app)) > 1:
            session.modified = True  # so it is signed with the current key, as the token is
        if g.get("_csrf_login") != login:  # a request that logs in shows forms of the new login
            g._csrf_login, g._csrf_token = login, super().generate_csrf_token(csrf_token_field)
        token: str = g._csrf_token
        return token

    def validate_csrf_token(self, form: BaseForm, field: CSRFTokenField) -> None:
        given = field.data or ""
        if len(given) > _TOKEN_LENGTH:
            raise ValidationError
        expires, _, digest = given.partition("##")
        text = f"{self.session['csrf']}{expires}".encode()
        made = (hmac.new(_csrf_secret(key), text, "sha1") for key in signing_keys(current_app))
        is_genuine = any(
            hmac.compare_digest(each.hexdigest().encode(), digest.encode()) for each in made
        )
        if not is_genuine or self.now().strftime(self.TIME_FORMAT) > expires:
            raise ValidationError

    def now(self) -> datetime:
        return utc_now()


class Form(PlainForm):
    """A form of a page. `await Form.load()`, then `await form.validate_on_submit()`."""

    class Meta:
        csrf = True
        csrf_class = _SessionCSRF
        csrf_time_limit = TOKEN_LIFE

        @property
        def csrf_secret(self) -> bytes:
            return _csrf_secret(signing_keys(current_app)[0])

        @property
        def csrf_context(self) -> Any:
            return session

    @classmethod
    async def load(cls, **values: Any) -> Self:
        """The form as it was sent; for a GET, filled with `values`.

        Raises 400 or 415 for a body that is not a form.
        """
        if request.method in SAFE_METHODS:
            return cls(data=values)
        return cls(await read_form())

    async def validate_on_submit(self) -> bool:
        """Whether the form was sent and is valid; otherwise `errors` has the faults.

        Raises 400 for a CSRF token that is missing, wrong or expired; nothing is cleaned before.
        """
        if request.method in SAFE_METHODS:
            return False
        if not self["csrf_token"].validate(self):
            abort(
                400,
                "This form is not valid any more: it was open for too long, or your browser "
                "keeps no cookies. Please send it again.",
            )
        self.clean()
        self.validate()
        for name, field in self._fields.items():
            check = getattr(self, f"check_{name}", None)
            if check is not None and not field.errors:
                try:
                    await check(field)
                except ValidationError as error:
                    self.refuse(name, str(error))
        return not self.errors

    def clean(self) -> None:
        """Clean the texts as their `Text` validators say.

        It is not done by filters of the fields, which WTForms runs before anything is checked. A
        text that is much too long stays as it is: NFC takes quadratic time for a run of combining
        marks (https://github.com/python/cpython/issues/149079).
        """
        for field in self:
            for rule in field.validators:
                if isinstance(rule, Text) and len(field.data or "") <= rule.longest * _UNCLEANED:
                    field.data = rule.clean(field.data or "")

    def refuse(self, name: str, message: str) -> None:
        """Add an error to a field."""
        field = self[name]
        field.errors = [*field.errors, message]

    def refuse_conflict(self, error: ConflictError) -> None:
        """Show an error of the unique constraint like the error of the check before it."""
        self.refuse(error.field, error.message)


class EmptyForm(Form):
    """The form of a button: only the token."""


class Text:
    """A validator for text: at most `longest` characters, and no `fault`, after `Form.clean`."""

    def __init__(
        self,
        longest: int,
        clean: Callable[[str], str] = str,
        fault: Callable[[str], str | None] = text_fault,
    ) -> None:
        self.longest = longest
        self.clean = clean
        self.fault = fault
        # WTForms renders these as attributes of the input.
        self.field_flags = {"maxlength": longest}

    def __call__(self, form: PlainForm, field: Field) -> None:
        text = field.data or ""
        if len(text) > self.longest:
            raise StopValidation(
                f"Please use at most {self.longest} characters; these are {len(text)}."
            )
        if fault := self.fault(text):
            raise StopValidation(fault)


async def show(template: str, form: Form, **context: Any) -> tuple[str, int]:
    """A page with a form; with status 422 if the form has errors."""
    status = 422 if form.errors else 200
    for name in list(form.errors)[:1]:  # the page opens with the cursor in its first wrong field
        form[name].render_kw = {**(form[name].render_kw or {}), "autofocus": True}
    return await render_template(template, form=form, **context), status


def csrf_token() -> str:
    """The CSRF token of this request, for buttons without a form object."""
    maker = _SessionCSRF()
    maker.form_meta = cast(Any, Form.Meta())
    return maker.generate_csrf_token(None)


async def read_form() -> MultiDict[str, str]:
    """The form in the request.

    Raises 400 or 415 for a body that is not a form, 413 for more than MAX_FORM_PARTS fields.
    """
    if request.mimetype not in _FORM_TYPES:
        abort(415, "This address accepts only forms.")
    if request.mimetype == _URLENCODED:
        body = cast(bytes, await request.get_data())
        # The parser counts the parts of a multipart form only.
        if body.count(b"&") >= MAX_FORM_PARTS:
            abort(413)
        # It leaves bytes that are not UTF-8 percent-encoded, as Flask's does; we reject them.
        if not _is_utf8(body):
            abort(400, NOT_UTF8)
    form = await request.form
    if not form:
        abort(400, "This form could not be read: it is empty or damaged.")
    return form


def _is_utf8(body: bytes) -> bool:
    try:
        unquote_to_bytes(body).decode()
    except UnicodeDecodeError:
        return False
    return True
