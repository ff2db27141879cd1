"""The texts that the API accepts, by the same rules as the forms of the pages."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from quartapp.microblog.models.post import BODY_LENGTH
from quartapp.microblog.models.text import (
    email_address,
    normalized,
    paragraphs,
    text_fault,
    username_fault,
)
from quartapp.microblog.models.token import NAME_LENGTH, SCOPE_LENGTH, SCOPES
from quartapp.microblog.models.user import (
    ABOUT_ME_LENGTH,
    EMAIL_LENGTH,
    PASSWORD_LENGTH,
    USERNAME_LENGTH,
)
from quartapp.microblog.password_rules import SHORTEST

# The rules of `text_fault` as far as a pattern can express them, for readers of the schema.
_REFUSED = r"\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd"
_ANYTHING = f"^[^{_REFUSED}]*$"
_SOMETHING = f"^[^{_REFUSED}]*[^{_REFUSED}\\s][^{_REFUSED}]*$"


def _email_fault(address: str) -> str | None:
    # Imported here because compiling its expressions takes 20 ms; WTForms does the same.
    from email_validator import EmailNotValidError, validate_email

    if fault := text_fault(address):
        return fault
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return "Invalid email address."
    return None


def _text(
    longest: int,
    clean: Callable[[str], str] = str,
    fault: Callable[[str], str | None] = text_fault,
    *,
    required: bool = True,
) -> AfterValidator:
    def validate(text: str) -> str:
        text = clean(text)
        if required and not text:
            raise PydanticCustomError("string_too_short", "This field is required.")
        # Checked again, because NFC makes some texts longer.
        if len(text) > longest:
            raise PydanticCustomError("string_too_long", "", {"max_length": longest})
        if found := fault(text):
            raise PydanticCustomError("text_fault", found)
        return text

    return AfterValidator(validate)


def _scope(text: str) -> str:
    wanted = text.split()
    if not wanted or not set(wanted) <= set(SCOPES):
        expected = f"Expected some of these words, with spaces between: {', '.join(SCOPES)}."
        raise PydanticCustomError("scope", expected)
    return " ".join(scope for scope in SCOPES if scope in wanted)


def _schema(**more: str | int) -> Any:
    # pydantic only documents these; `_text` checks them, with messages for people.
    return more


Username = Annotated[
    str,
    Field(min_length=1, max_length=USERNAME_LENGTH, json_schema_extra=_schema(pattern=_SOMETHING)),
    _text(USERNAME_LENGTH, normalized, username_fault),
]
Email = Annotated[
    str,
    Field(min_length=3, max_length=EMAIL_LENGTH, json_schema_extra=_schema(format="email")),
    _text(EMAIL_LENGTH, email_address, _email_fault),
]
Password = Annotated[
    str,
    Field(
        min_length=1,
        max_length=PASSWORD_LENGTH,
        # `password_rules` checks the length, with a message of its own.
        json_schema_extra=_schema(pattern=_ANYTHING, minLength=SHORTEST),
    ),
    _text(PASSWORD_LENGTH),
]
CurrentPassword = Annotated[
    str,
    Field(min_length=1, max_length=PASSWORD_LENGTH, json_schema_extra=_schema(pattern=_ANYTHING)),
    _text(PASSWORD_LENGTH),
]
AboutMe = Annotated[
    str,
    Field(max_length=ABOUT_ME_LENGTH, json_schema_extra=_schema(pattern=_ANYTHING)),
    _text(ABOUT_ME_LENGTH, paragraphs, required=False),
]
Body = Annotated[
    str,
    Field(min_length=1, max_length=BODY_LENGTH, json_schema_extra=_schema(pattern=_SOMETHING)),
    _text(BODY_LENGTH, paragraphs),
]
TokenName = Annotated[
    str,
    Field(max_length=NAME_LENGTH, json_schema_extra=_schema(pattern=_ANYTHING)),
    _text(NAME_LENGTH, normalized, required=False),
]
TokenScope = Annotated[
    str,
    Field(
        min_length=1,
        max_length=SCOPE_LENGTH,
        json_schema_extra=_schema(pattern=f"^({'|'.join(SCOPES)})( ({'|'.join(SCOPES)}))*$"),
    ),
    AfterValidator(_scope),
]
