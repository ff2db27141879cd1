"""View models: texts and addresses are complete, so templates call nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from quartapp.flasklike import url_for
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.event import EVENT_TEXTS, EventRow
from quartapp.microblog.models.paging import Page
from quartapp.microblog.models.post import PostRow
from quartapp.microblog.models.user import Profile
from quartapp.microblog.web.devices import describe

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


class Moment(NamedTuple):
    """A time as relative text or date (`text`), for programs (`iso`), and in full (`exact`)."""

    text: str
    iso: str
    exact: str


class PostView(NamedTuple):
    """A post; only its author gets a `delete_url`."""

    id: int
    username: str
    profile_url: str
    avatar_url: str
    body: str
    time: Moment
    url: str
    delete_url: str | None


class PostList(NamedTuple):
    """A page of posts; an address is None if there are no posts in that direction."""

    posts: list[PostView]
    newer_url: str | None
    older_url: str | None


class PersonView(NamedTuple):
    """A person as one of a list."""

    username: str
    about_me: str
    profile_url: str
    avatar_url: str


class PeopleList(NamedTuple):
    """A page of people; an address is None if there are no people in that direction."""

    people: list[PersonView]
    newer_url: str | None
    older_url: str | None


class EventView(NamedTuple):
    """A security event; `sender` is the address and the program that it came from, or ""."""

    text: str
    time: Moment
    sender: str


class ProfileView(NamedTuple):
    """A person as their page shows them; `followers` and `posts` are texts, such as "1 post"."""

    username: str
    about_me: str
    avatar_url: str
    last_seen: Moment
    member_since: Moment
    followers: str
    followers_url: str
    following: int
    following_url: str
    posts: str
    is_followed: bool


def show_moment(moment: datetime, now: datetime) -> Moment:
    """ "5 minutes ago" within a week, then the date; neither depends on the reader's time zone."""
    iso, exact, date = _texts_of(moment)
    return Moment(_ago((now - moment).total_seconds()) or date, iso, exact)


@lru_cache(maxsize=2048)  # a page shows dozens of times, and most are shown again
def _texts_of(moment: datetime) -> tuple[str, str, str]:
    """The texts that do not depend on the clock. They are in UTC: equal keys have equal texts."""
    moment = moment.astimezone(UTC)
    iso = moment.isoformat(timespec="seconds")
    month = _MONTHS[moment.month - 1]
    exact = f"{moment.day} {month} {moment.year}, {iso[11:16]} UTC"
    return iso, exact, f"{moment.day} {month[:3]} {moment.year}"


def show_posts(
    page: Page[PostRow], endpoint: str, viewer_id: int | None, **values: Any
) -> PostList:
    """The posts of a page, with links to the previous and the next page of the endpoint."""
    return PostList(show_rows(page.items, viewer_id), *neighbours(page, endpoint, values))


def show_rows(rows: Sequence[PostRow], viewer_id: int | None) -> list[PostView]:
    """The posts as the person with this id sees them, or a stranger (None)."""
    now = utc_now()
    authors: dict[int, tuple[str, str]] = {}
    prefix = url_for("posts.post", post_id=0).removesuffix("0")
    posts = []
    for row in rows:
        urls = authors.get(row.user_id)
        if urls is None:
            urls = authors[row.user_id] = (profile_url(row.username), avatar_url(row.user_id))
        time = show_moment(row.timestamp, now)
        url = f"{prefix}{row.id}"
        delete_url = f"{url}/delete" if row.user_id == viewer_id else None
        posts.append(PostView(row.id, row.username, *urls, row.body, time, url, delete_url))
    return posts


def show_people(page: Page[Profile], endpoint: str, **values: Any) -> PeopleList:
    """The people of a page, with links to the previous and the next page of the endpoint."""
    people = [
        PersonView(
            person.username, person.about_me, profile_url(person.username), avatar_url(person.id)
        )
        for person in page.items
    ]
    return PeopleList(people, *neighbours(page, endpoint, values))


def neighbours(
    page: Page[Any], endpoint: str, values: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """The addresses of the newer and the older page; None where there is none."""
    newer = older = None
    # An empty page past either end has no id to continue from: its link leads to the start.
    if page.has_newer:
        key: dict[str, Any] = {"after": page.items[0].id} if page.items else {}
        newer = url_for(endpoint, **values, **key)
    if page.has_older:
        key = {"before": page.items[-1].id} if page.items else {}
        older = url_for(endpoint, **values, **key)
    return newer, older


def show_events(rows: Sequence[EventRow]) -> list[EventView]:
    """Security events for the person whose account it is."""
    now = utc_now()
    return [
        EventView(
            EVENT_TEXTS.get(row.kind, row.kind) + (f" ({row.detail})" if row.detail else ""),
            show_moment(row.at, now),
            ", ".join(filter(None, (row.address, row.user_agent and describe(row.user_agent)))),
        )
        for row in rows
    ]


def show_profile(profile: Profile) -> ProfileView:
    """The view model of a person's page."""
    now = utc_now()
    return ProfileView(
        profile.username,
        profile.about_me,
        avatar_url(profile.id),
        show_moment(profile.last_seen, now),
        show_moment(profile.created_at, now),
        _count(profile.follower_count, "follower"),
        url_for("profile.followers", username=profile.username),
        profile.following_count,
        url_for("profile.following", username=profile.username),
        _count(profile.post_count, "post"),
        profile.is_followed,
    )


def profile_url(username: str) -> str:
    return url_for("profile.user", username=username)


def avatar_url(user_id: int) -> str:
    return url_for("avatars.avatar", user_id=user_id)


def _ago(seconds: float) -> str:
    """How long ago it was; "" for a week and more."""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{_count(int(seconds // 60), 'minute')} ago"
    if seconds < 86400:
        return f"{_count(int(seconds // 3600), 'hour')} ago"
    if seconds < 7 * 86400:
        return f"{_count(int(seconds // 86400), 'day')} ago"
    return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
