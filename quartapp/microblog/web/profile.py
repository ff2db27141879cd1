"""Views of people: their pages, editing one's own profile, following and unfollowing."""

from typing import Any

from markupsafe import Markup
from quart import ResponseReturnValue

from quartapp.flasklike import Blueprint, flash, redirect, render_template, url_for
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import ConflictError, NotFoundError
from quartapp.microblog.identity import current_person, update_cookie, viewer_id
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.models.people import followed_by, followers_of
from quartapp.microblog.models.post import posts_of
from quartapp.microblog.models.user import Profile, find_profile, follow, unfollow, update_user
from quartapp.microblog.trail import record_event
from quartapp.microblog.web.forms import EditProfileForm
from quartapp.microblog.web.kept import ask_to_log_in, lacks_login
from quartapp.microblog.web.posts import wanted_page
from quartapp.microblog.web.presentation import (
    profile_url,
    show_people,
    show_posts,
    show_profile,
)
from quartapp.microblog.web.validation import EmptyForm, show

blueprint = Blueprint("profile", __name__)


@blueprint.get("/user/<username>")
async def user(username: str) -> ResponseReturnValue:
    """A person and their posts."""
    viewer = viewer_id()
    profile = await find_profile(db, username, viewer)
    page = await posts_of(db, profile.id, wanted_page())
    return await render_template(
        "user.html",
        title=profile.username,
        profile=show_profile(profile),
        page=show_posts(page, "profile.user", viewer, username=profile.username),
        is_self=profile.id == viewer,
    )


@blueprint.get("/user/<username>/followers")
async def followers(username: str) -> ResponseReturnValue:
    """Who follows a person."""
    return await _people(username, followers_of, "profile.followers", "Followers of {}")


@blueprint.get("/user/<username>/following")
async def following(username: str) -> ResponseReturnValue:
    """Whom a person follows."""
    return await _people(username, followed_by, "profile.following", "Followed by {}")


async def _people(username: str, ask: Any, endpoint: str, heading: str) -> str:
    profile = await find_profile(db, username)
    page = await ask(db, profile.id, wanted_page())
    return await render_template(
        "people.html",
        title=heading.format(profile.username),
        heading=_naming(heading, profile.username),
        profile_url=profile_url(profile.username),
        page=show_people(page, endpoint, username=profile.username),
    )


@blueprint.route("/edit_profile", methods=["GET", "POST"])
async def edit_profile() -> ResponseReturnValue:
    """Change one's own name and text. A lost race for a name shows the error of a taken name."""
    if lacks_login():
        return await ask_to_log_in()
    person = current_person()
    form = await EditProfileForm.load(username=person.username)
    form.user_id, form.original_username = person.id, person.username
    if await form.validate_on_submit():
        try:
            await update_user(
                db,
                person.id,
                username=form.username.data,
                about_me=form.about_me.data,
            )
        except ConflictError as error:
            form.refuse_conflict(error)
        else:
            if form.username.data != person.username:
                record_event(EventKind.USERNAME_CHANGED, person.id)
            update_cookie(form.username.data or "")
            await flash("Your changes have been saved.")
            return redirect(url_for("profile.edit_profile"))
    elif not form.errors:
        form.about_me.data = person.about_me
    return await show("edit_profile.html", form, title="Edit Profile")


@blueprint.post("/follow/<username>")
async def follow_user(username: str) -> ResponseReturnValue:
    """Follow a person. Following twice is not an error."""
    me, other = current_person(), await _other(username)
    if other is None:
        return redirect(url_for("posts.index"))
    if other.id == me.id:
        await flash("You cannot follow yourself!", "error")
    else:
        await follow(db, me.id, other.id)
        await flash(_naming("You are following {}!", other.username))
    return redirect(url_for("profile.user", username=other.username))


@blueprint.post("/unfollow/<username>")
async def unfollow_user(username: str) -> ResponseReturnValue:
    """Stop following a person."""
    me, other = current_person(), await _other(username)
    if other is None:
        return redirect(url_for("posts.index"))
    if other.id == me.id:
        await flash("You cannot unfollow yourself!", "error")
    else:
        await unfollow(db, me.id, other.id)
        await flash(_naming("You are not following {}.", other.username))
    return redirect(url_for("profile.user", username=other.username))


async def _other(username: str) -> Profile | None:
    """The person whose button was pressed; flashes a message if there is no such person."""
    await (await EmptyForm.load()).validate_on_submit()
    try:
        return await find_profile(db, username)
    except NotFoundError:
        await flash(_naming("User {} not found.", username), "error")
        return None


def _naming(sentence: str, username: str) -> Markup:
    """A sentence with a name; the name's writing direction does not affect the rest."""
    return Markup(sentence).format(Markup("<bdi>{}</bdi>").format(username))
