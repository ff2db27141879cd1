"""View models: texts and addresses are complete, so templates call nothing."""

from datetime import datetime
from typing import Any, NamedTuple

from quartapp.flasklike import url_for
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.paging import Page
from quartapp.microblog.models.post import PostRow
from quartapp.microblog.models.user import Profile

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
    """A post as lists show it."""

    id: int
    username: str
    profile_url: str
    avatar_url: str
    body: str
    time: Moment


class PostList(NamedTuple):
    """A page of posts; an address is None if there are no posts in that direction."""

    posts: list[PostView]
    newer_url: str | None
    older_url: str | None


class ProfileView(NamedTuple):
    """A person as their page shows them; `followers` and `posts` are texts, such as "1 post"."""

    username: str
    about_me: str
    avatar_url: str
    last_seen: Moment
    member_since: Moment
    followers: str
    following: int
    posts: str
    is_followed: bool


def show_moment(moment: datetime, now: datetime) -> Moment:
    """ "5 minutes ago" within a week, then the date; neither depends on the reader's time zone."""
    # strftime takes ten times as long, and a page shows dozens of times.
    iso = moment.isoformat(timespec="seconds")
    exact = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {iso[11:16]} UTC"
    return Moment(_ago(moment, now), iso, exact)


def show_posts(page: Page[PostRow], endpoint: str, **values: Any) -> PostList:
    """The posts of a page, with links to the previous and the next page of the endpoint."""
    now = utc_now()
    authors: dict[int, tuple[str, str]] = {}
    posts = []
    for row in page.items:
        urls = authors.get(row.user_id)
        if urls is None:
            urls = authors[row.user_id] = (profile_url(row.username), avatar_url(row.user_id))
        time = show_moment(row.timestamp, now)
        posts.append(PostView(row.id, row.username, *urls, row.body, time))
    newer = older = None
    # An empty page past either end has no id to continue from: its link leads to the start.
    if page.has_newer:
        key: dict[str, Any] = {"after": page.items[0].id} if page.items else {}
        newer = url_for(endpoint, **values, **key)
    if page.has_older:
        key = {"before": page.items[-1].id} if page.items else {}
        older = url_for(endpoint, **values, **key)
    return PostList(posts, newer, older)


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
        profile.following_count,
        _count(profile.post_count, "post"),
        profile.is_followed,
    )


def profile_url(username: str) -> str:
    return url_for("profile.user", username=username)


def avatar_url(user_id: int) -> str:
    return url_for("avatars.avatar", user_id=user_id)


def _ago(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{_count(int(seconds // 60), 'minute')} ago"
    if seconds < 86400:
        return f"{_count(int(seconds // 3600), 'hour')} ago"
    if seconds < 7 * 86400:
        return f"{_count(int(seconds // 86400), 'day')} ago"
    return f"{moment.day} {_MONTHS[moment.month - 1][:3]} {moment.year}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
