"""The bodies of requests and responses. Only these fields are sent; `email` only to its owner."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from quartapp.microblog.api.fields import (
    AboutMe,
    Body,
    CurrentPassword,
    Email,
    Password,
    TokenName,
    TokenScope,
    Username,
)
from quartapp.microblog.models.token import DEFAULT_SCOPE
from quartapp.reporting.queries.triage import LONGEST_COMMENT

T = TypeVar("T")


ABSENT: Any = None
"""The default of a field that may be left out; null is neither accepted nor sent."""


def _leave_out_absent(schema: dict[str, Any]) -> None:
    for field in schema.get("properties", {}).values():
        if field.get("default", 0) is ABSENT:
            del field["default"]


class Input(BaseModel):
    """The body of a request. An unknown field is rejected, as it is probably misspelt."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_leave_out_absent)


class Output(BaseModel):
    """The body of a response."""

    model_config = ConfigDict(json_schema_extra=_leave_out_absent)


class NewUser(Input):
    """A person who registers."""

    username: Username
    email: Email
    password: Password


class UserChange(Input):
    """The fields to change; the others stay as they are. Another `email` needs the `password`."""

    username: Username = ABSENT
    email: Email = ABSENT
    password: CurrentPassword = ABSENT
    about_me: AboutMe = ABSENT


class NewToken(Input):
    """What a token is for; without a scope it may read and write."""

    name: TokenName = ""
    scope: TokenScope = DEFAULT_SCOPE


class NewPost(Input):
    """A post to be published."""

    body: Body


class Token(Output):
    """A token for the header `Authorization: Bearer TOKEN`. It is shown only here."""

    token: str
    expires_at: AwareDatetime
    name: str
    scope: str


class TokenInfo(Output):
    """A valid token, without the secret."""

    id: int
    name: str
    scope: str
    created_at: AwareDatetime
    expires_at: AwareDatetime


class UserLinks(Output):
    """Where to find more about a person."""

    self: str
    posts: str
    followers: str
    following: str
    avatar: str


class Person(Output):
    """A person as anybody may see them."""

    id: int
    username: str
    about_me: str
    member_since: AwareDatetime
    post_count: int
    follower_count: int
    following_count: int
    links: UserLinks = Field(serialization_alias="_links")


class User(Person):
    """A person as members see them; with the email address only for the person themselves."""

    email: str = ABSENT
    last_seen: AwareDatetime


class PostLinks(Output):
    """Where a post and its author are."""

    self: str
    author: str


class Post(Output):
    """A post."""

    id: int
    body: str
    timestamp: AwareDatetime
    author: str = Field(description="The author's username.")
    author_id: int
    links: PostLinks = Field(serialization_alias="_links")


class PageMeta(Output):
    """How many items were requested, and how many are on this page."""

    per_page: int
    count: int


class PageLinks(Output):
    """The neighbours of a page: `next` has older items, `prev` newer ones, or is null."""

    self: str
    next: str | None
    prev: str | None


class Listing(Output, Generic[T]):
    """A page of a list, newest first."""

    items: list[T]
    meta: PageMeta = Field(serialization_alias="_meta")
    links: PageLinks = Field(serialization_alias="_links")


class UserList(Listing[User]):
    """A page of people, those who registered last first."""


class PostList(Listing[Post]):
    """A page of posts, newest first."""


class TokenList(Listing[TokenInfo]):
    """A page of tokens, newest first."""


class ErrorLinks(Output):
    """Where an error is."""

    self: str


class Error(Output):
    """All occurrences of one error. An act names the `version` that was seen."""

    id: int
    fingerprint: str
    title: str
    message: str
    culprit: str
    route: str
    state: str
    count: int
    people: int
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    version: str
    links: ErrorLinks = Field(serialization_alias="_links")


class ErrorList(Listing[Error]):
    """A page of errors."""


class ErrorDocument(Output):
    """An error with its counts by minute and hour, its newest `report` and what was done."""

    model_config = ConfigDict(extra="allow")

    id: int
    fingerprint: str
    title: str
    state: str
    count: int
    version: str
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    report: dict[str, Any] | None
    acts: list[dict[str, Any]]


class NewErrorAct(Input):
    """What to do to an error. With `version`, only if nobody has done something else since.

    A mute ends after `hours`, after `more` occurrences, or if there are more than `rate` within an
    hour, whichever is first; without any of them it does not end.
    """

    act: Literal["resolve", "resolve_next", "reopen", "mute", "comment"]
    version: Annotated[str, Field(max_length=64)] = ABSENT
    hours: Annotated[int, Field(ge=1, le=876_000)] = ABSENT
    more: Annotated[int, Field(ge=0, le=2**31 - 1)] = ABSENT
    rate: Annotated[int, Field(ge=1, le=2**31 - 1)] = ABSENT
    text: Annotated[str, Field(max_length=LONGEST_COMMENT)] = ""


class FieldError(Output):
    """What is wrong with one field; `field` is empty if the whole body is meant."""

    field: str
    message: str


class Problem(Output):
    """An error (RFC 9457). `code` is stable; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldError] = ABSENT
    reference: str = ABSENT


class Message(BaseModel):
    """An error in the form of Flask's documentation."""

    model_config = ConfigDict(extra="allow")

    message: str
