"""Posts: the personal timeline with its form, and everybody's posts."""

from quart import ResponseReturnValue, current_app, request

from quartapp.database import request_session
from quartapp.flasklike import Blueprint, flash, redirect, render_template, url_for
from quartapp.microblog.identity import current_person
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.post import add_post_once, all_posts, timeline
from quartapp.microblog.web.forms import PostForm
from quartapp.microblog.web.kept import ask_to_log_in, lacks_login
from quartapp.microblog.web.presentation import avatar_url, show_posts
from quartapp.microblog.web.validation import show

blueprint = Blueprint("posts", __name__)


@blueprint.route("/index", methods=["GET", "POST"])
@blueprint.route("/", methods=["GET", "POST"])
async def index() -> ResponseReturnValue:
    """The posts of a person and of those they follow. A form that is sent twice posts once."""
    if lacks_login():
        return await ask_to_log_in()
    person = current_person()
    form = await PostForm.load()
    if await form.validate_on_submit():
        key, body = form.form_key.data or "", form.post.data or ""
        is_new = await add_post_once(request_session(), person.id, body, key)
        await flash("Your post is now live!" if is_new else "Your post is live already.")
        return redirect(url_for("posts.index"))
    page = await timeline(request_session(), person.id, wanted_page())
    posts = show_posts(page, "posts.index")
    return await show(
        "index.html", form, title="Home", page=posts, own_avatar_url=avatar_url(person.id)
    )


@blueprint.get("/explore")
async def explore() -> ResponseReturnValue:
    """Everybody's posts."""
    current_person()
    posts = show_posts(await all_posts(request_session(), wanted_page()), "posts.explore")
    return await render_template("explore.html", title="Explore", page=posts)


def wanted_page() -> PageRequest:
    """The part of a list that the query string requests. Raises NotFoundError."""
    return PageRequest.parse(request.args, current_app.config["POSTS_PER_PAGE"])
