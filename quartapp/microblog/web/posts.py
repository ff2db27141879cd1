"""Posts: the personal timeline with its form, everybody's posts, and the page of each post."""

from quart import ResponseReturnValue, current_app, request

from quartapp.flasklike import Blueprint, flash, redirect, render_template, url_for
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import ForbiddenError
from quartapp.microblog.identity import current_person, viewer_id, visitor
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.post import (
    add_post_once,
    all_posts,
    delete_post,
    find_post,
    timeline,
)
from quartapp.microblog.throttling import limit_posts
from quartapp.microblog.web.forms import PostForm
from quartapp.microblog.web.kept import ask_to_log_in, lacks_login
from quartapp.microblog.web.presentation import avatar_url, show_posts, show_rows
from quartapp.microblog.web.validation import EmptyForm, show

blueprint = Blueprint("posts", __name__)


@blueprint.route("/index", methods=["GET", "POST"])
@blueprint.route("/", methods=["GET", "POST"])
async def index() -> ResponseReturnValue:
    """The posts of a person and of those they follow; without a login, an introduction.

    A form that is sent twice posts once.
    """
    if lacks_login():
        return await ask_to_log_in()
    person = visitor().person
    if person is None:
        return await _public("welcome.html", "Welcome")
    form = await PostForm.load()
    if await form.validate_on_submit():
        await limit_posts(person.id)
        key, body = form.form_key.data or "", form.post.data or ""
        is_new = await add_post_once(db, person.id, body, key)
        await flash("Your post is now live!" if is_new else "Your post is live already.")
        return redirect(url_for("posts.index"))
    page = await timeline(db, person.id, wanted_page())
    posts = show_posts(page, "posts.index", person.id)
    return await show(
        "index.html", form, title="Home", page=posts, own_avatar_url=avatar_url(person.id)
    )


@blueprint.get("/explore")
async def explore() -> ResponseReturnValue:
    """Everybody's posts, for everybody."""
    return await _public("explore.html", "Explore")


async def _public(template: str, title: str) -> str:
    page = await all_posts(db, wanted_page())
    posts = show_posts(page, "posts.explore", viewer_id())
    return await render_template(template, title=title, page=posts)


@blueprint.get("/post/<int:post_id>")
async def post(post_id: int) -> ResponseReturnValue:
    """One post, at its permanent address."""
    row = await find_post(db, post_id)
    (shown,) = show_rows([row], viewer_id())
    return await render_template("post.html", title=f"Post by {row.username}", post=shown)


@blueprint.route("/post/<int:post_id>/delete", methods=["GET", "POST"])
async def delete(post_id: int) -> ResponseReturnValue:
    """Delete one's own post. A GET, which any page can cause, only asks for confirmation."""
    person = current_person()
    row = await find_post(db, post_id)
    if row.user_id != person.id:
        raise ForbiddenError("Only its author may delete a post.")
    form = await EmptyForm.load()
    if await form.validate_on_submit():
        await delete_post(db, post_id, person.id)
        await flash("Your post is deleted.")
        return redirect(url_for("posts.index"))
    (shown,) = show_rows([row], None)
    return await show("delete.html", form, title="Delete a post", post=shown)


def wanted_page() -> PageRequest:
    """The part of a list that the query string requests. Raises NotFoundError."""
    return PageRequest.parse(request.args, current_app.config["POSTS_PER_PAGE"])
