"""Who follows whom."""

from quartapp.flasklike import Response
from quartapp.microblog.api.authentication import caller_id, token_required
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.bodies import no_content
from quartapp.microblog.api.listing import reply_page, wanted_page
from quartapp.microblog.api.openapi import answers
from quartapp.microblog.api.schemas import UserList
from quartapp.microblog.api.users import show_user
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import SelfFollowError
from quartapp.microblog.models.people import followed_by, followers_of
from quartapp.microblog.models.user import find_profile, follow, unfollow


@blueprint.get("/users/<id:user_id>/followers")
@token_required
@answers(200, UserList, errors=(404,), paged=True)
async def list_followers(user_id: int) -> Response:
    """List who follows a person."""
    wanted = wanted_page()
    await find_profile(db, user_id)
    page = await followers_of(db, user_id, wanted)
    return reply_page(page, wanted, UserList, show_user)


@blueprint.get("/users/<id:user_id>/following")
@token_required
@answers(200, UserList, errors=(404,), paged=True)
async def list_following(user_id: int) -> Response:
    """List whom a person follows."""
    wanted = wanted_page()
    await find_profile(db, user_id)
    page = await followed_by(db, user_id, wanted)
    return reply_page(page, wanted, UserList, show_user)


@blueprint.post("/users/<id:user_id>/followers")
@token_required
@answers(204, errors=(404, 409))
async def follow_user(user_id: int) -> Response:
    """Follow a person. Following twice is not an error."""
    if user_id == caller_id():
        raise SelfFollowError
    await find_profile(db, user_id)
    await follow(db, caller_id(), user_id)
    return no_content()


@blueprint.delete("/users/<id:user_id>/followers")
@token_required
@answers(204, errors=(404,))
async def unfollow_user(user_id: int) -> Response:
    """Stop following a person. It is not an error if the caller did not."""
    await find_profile(db, user_id)
    await unfollow(db, caller_id(), user_id)
    return no_content()
