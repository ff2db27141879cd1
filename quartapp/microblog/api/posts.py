"""Views of posts: everybody's, a person's, and the caller's own."""

from quartapp.flasklike import Response, url_for
from quartapp.microblog.api.authentication import caller_id, token_required
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.bodies import no_content, reply, takes
from quartapp.microblog.api.listing import reply_page, wanted_page
from quartapp.microblog.api.openapi import answers
from quartapp.microblog.api.schemas import NewPost, Post, PostLinks, PostList
from quartapp.microblog.database import db
from quartapp.microblog.models.post import (
    PostRow,
    add_post,
    all_posts,
    delete_post,
    find_post,
    posts_of,
)
from quartapp.microblog.models.user import find_profile
from quartapp.microblog.throttling import limit_posts


@blueprint.get("/posts")
@token_required
@answers(200, PostList, errors=(404,), paged=True)
async def list_posts() -> Response:
    """List everybody's posts."""
    wanted = wanted_page()
    return reply_page(await all_posts(db, wanted), wanted, PostList, _show)


@blueprint.get("/users/<id:user_id>/posts")
@token_required
@answers(200, PostList, errors=(404,), paged=True)
async def list_posts_of(user_id: int) -> Response:
    """List a person's posts."""
    wanted = wanted_page()
    await find_profile(db, user_id)
    page = await posts_of(db, user_id, wanted)
    return reply_page(page, wanted, PostList, _show)


@blueprint.post("/posts")
@token_required
@takes(NewPost)
@answers(201, Post)
async def create_post(data: NewPost) -> Response:
    """Publish a post."""
    await limit_posts(caller_id())
    shown = _show(await add_post(db.session, caller_id(), data.body))
    return reply(shown, 201, {"Location": shown.links.self})


@blueprint.get("/posts/<id:post_id>")
@token_required
@answers(200, Post, errors=(404,))
async def get_post(post_id: int) -> Response:
    """Show a post."""
    return reply(_show(await find_post(db, post_id)))


@blueprint.delete("/posts/<id:post_id>")
@token_required
@answers(204, errors=(403, 404))
async def delete_own_post(post_id: int) -> Response:
    """Delete one of the caller's own posts."""
    await delete_post(db, post_id, caller_id())
    return no_content()


def _show(row: PostRow) -> Post:
    links = PostLinks(
        self=url_for("api.get_post", post_id=row.id),
        author=url_for("api.get_user", user_id=row.user_id),
    )
    return Post(
        id=row.id,
        body=row.body,
        timestamp=row.timestamp,
        author=row.username,
        author_id=row.user_id,
        links=links,
    )
