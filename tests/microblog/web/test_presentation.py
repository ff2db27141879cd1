"""The view models of templates."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from quartapp.flasklike import App
from quartapp.microblog.models.paging import Page
from quartapp.microblog.models.post import PostRow
from quartapp.microblog.web.presentation import show_moment, show_posts

NOW = datetime(2030, 1, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-5), "just now"),  # as by the clock of another machine
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=6, hours=23), "6 days ago"),
        (timedelta(days=7), "3 Jan 2030"),
        (timedelta(days=400), "6 Dec 2028"),
    ],
)
def test_a_moment_is_told_as_people_do(ago: timedelta, text: str) -> None:
    assert show_moment(NOW - ago, NOW).text == text


def test_a_moment_is_exact_for_programs() -> None:
    moment = show_moment(NOW, NOW)
    assert (moment.iso, moment.exact) == ("2030-01-10T12:00:00+00:00", "10 January 2030, 12:00 UTC")


async def test_a_list_beyond_its_end_leads_back_to_the_start(app: App) -> None:
    empty: Page[PostRow] = Page([], has_newer=True, has_older=True)
    async with app.test_request_context("/explore"):
        shown = show_posts(empty, "posts.explore", None)
    assert (shown.posts, shown.newer_url, shown.older_url) == ([], "/explore", "/explore")


def test_texts_follow_the_clock_and_not_the_zone() -> None:
    moment = NOW - timedelta(minutes=1, microseconds=1)  # which no other test asks for
    elsewhere = moment.astimezone(timezone(timedelta(hours=2)))
    assert elsewhere == moment
    first = show_moment(elsewhere, NOW)
    assert first == show_moment(moment, NOW)
    assert (first.iso, first.text) == ("2030-01-10T11:58:59+00:00", "1 minute ago")
    for days, text in ((8, "10 Jan 2030"), (-1, "just now"), (1, "1 day ago")):
        assert show_moment(moment, NOW + timedelta(days=days)).text == text
