"""Views of people: registering, reading, changing one's own data."""

from typing import Any

from quart import ResponseReturnValue, jsonify, request

from quartapp.database.types import MAX_ID
from quartapp.flasklike import Response, url_for
from quartapp.microblog.accounts import accounts
from quartapp.microblog.api.authentication import (
    also_unconfirmed,
    caller_id,
    token_required,
)
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.bodies import reply, takes
from quartapp.microblog.api.listing import reply_page, wanted_page
from quartapp.microblog.api.openapi import answers
from quartapp.microblog.api.schemas import NewUser, Person, User, UserChange, UserLinks, UserList
from quartapp.microblog.credentials import authenticate
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import (
    EmailTakenError,
    EmailUnconfirmedError,
    Fault,
    ForbiddenError,
    InvalidAPIUsage,
    InvalidInputError,
    InvalidTokenError,
    NotFoundError,
    UsernameTakenError,
)
from quartapp.microblog.models.account import Account, find_account
from quartapp.microblog.models.account import register as register_person
from quartapp.microblog.models.account_mail import MailKind, queue_mail
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.models.people import all_people, find_email
from quartapp.microblog.models.user import (
    Profile,
    find_profile,
    is_email_taken,
    is_username_taken,
    update_user,
)
from quartapp.microblog.names import new_name_fault
from quartapp.microblog.passwords import find_password_fault, hash_password, hasher
from quartapp.microblog.throttling import limit_mails, limit_registrations
from quartapp.microblog.trail import record_event


@blueprint.get("/users")
@token_required
@answers(200, UserList, errors=(404,), paged=True)
async def list_users() -> Response:
    """List everybody."""
    wanted = wanted_page()
    return reply_page(await all_people(db, wanted), wanted, UserList, show_user)


@blueprint.post("/users")
@takes(NewUser)
@answers(201, User, errors=(409,))
async def register(data: NewUser) -> Response:
    """Register. Needs no token; a token comes from POST /api/tokens."""
    hasher().require_room()
    await limit_registrations()  # also before it says which names are taken
    _refuse(
        username=new_name_fault(data.username),
        password=await find_password_fault(data.password, data.username, data.email),
    )
    # Hashing takes a tenth of a second or more: no lock and no connection is held meanwhile.
    if await is_username_taken(db, data.username):
        raise UsernameTakenError
    if await is_email_taken(db, data.email):
        raise EmailTakenError
    password_hash = await hash_password(data.password)
    confirms = accounts().confirmation != "off"
    user_id = await register_person(
        db.session, data.username, data.email, password_hash, confirms=confirms
    )
    answer = await _reply_own(user_id, 201)  # before the commit: after it nothing can fail
    await db.session.commit()
    record_event(EventKind.REGISTERED, user_id)
    return answer


@blueprint.get("/users/<id:user_id>")
@token_required
@answers(200, User, errors=(404,))
async def get_user(user_id: int) -> Response:
    """Show a person; the caller also sees their own email address."""
    if user_id == caller_id():
        return await _reply_own(user_id, 200)
    return reply(show_user(await find_profile(db, user_id)))


@blueprint.put("/users/<id:user_id>")
@token_required
@also_unconfirmed
@takes(UserChange)
@answers(200, User, errors=(403, 404, 409))
async def update_own_user(user_id: int, data: UserChange) -> Response:
    """Change the caller's own name, email address or text.

    The address changes once a mail to the new one is confirmed, where mails are sent.
    """
    if user_id != caller_id():
        await find_profile(db, user_id)
        raise ForbiddenError
    values = data.model_dump(exclude_unset=True, exclude={"password"})
    account = await find_account(db, user_id)
    if account is None:
        raise InvalidTokenError
    if values.keys() - {"email"} and not accounts().may_write(
        is_confirmed=account.email_confirmed_at is not None
    ):
        raise EmailUnconfirmedError
    if values.get("username", account.username) != account.username:
        _refuse(username=new_name_fault(data.username))
    if (email := values.pop("email", account.email)) != account.email:
        await _require_password(account, data)
        if accounts().can_mail:
            await limit_mails(email)
            await queue_mail(db.session, MailKind.CHANGE, email, user_id=user_id)
        else:
            values |= {"email": email, "email_confirmed_at": None}
    if values:
        await update_user(db, user_id, **values)
    await db.session.commit()
    if values.get("username", account.username) != account.username:
        record_event(EventKind.USERNAME_CHANGED, user_id)
    if email != account.email:
        asked = EventKind.EMAIL_CHANGE_REQUESTED
        record_event(asked if accounts().can_mail else EventKind.EMAIL_CHANGED, user_id)
    return await _reply_own(user_id, 200)


@blueprint.get("/user")
@answers(200, Person, query={"user_id": {"type": "integer", "minimum": 1}}, plain={400, 404})
async def user_api() -> ResponseReturnValue:
    """Show a person without a token, with errors as Flask's documentation shows them.

    "Handling Application Errors", "Returning API Errors as JSON".
    """
    user_id = request.args.get("user_id")
    if not user_id:
        raise InvalidAPIUsage("No user id provided!")
    try:
        profile = await find_profile(db, _number(user_id))
    except NotFoundError:
        raise InvalidAPIUsage("No such user!", status_code=404) from None
    return jsonify(Person(**_public(profile)).model_dump(mode="json", by_alias=True))


def show_user(profile: Profile, email: str | None = None) -> User:
    """A person as the API shows them; pass `email` only if the person is the caller."""
    more: dict[str, Any] = {"email": email} if email is not None else {}
    return User(**_public(profile), last_seen=profile.last_seen, **more)


def _public(profile: Profile) -> dict[str, Any]:
    """The fields that anybody may see: not when somebody was here, by which they can be watched."""
    links = UserLinks(
        self=url_for("api.get_user", user_id=profile.id),
        posts=url_for("api.list_posts_of", user_id=profile.id),
        followers=url_for("api.list_followers", user_id=profile.id),
        following=url_for("api.list_following", user_id=profile.id),
        avatar=url_for("avatars.avatar", user_id=profile.id),
    )
    return {
        "id": profile.id,
        "username": profile.username,
        "about_me": profile.about_me,
        "member_since": profile.created_at,
        "post_count": profile.post_count,
        "follower_count": profile.follower_count,
        "following_count": profile.following_count,
        "links": links,
    }


async def _reply_own(user_id: int, status: int) -> Response:
    profile = await find_profile(db, user_id)
    user = show_user(profile, await find_email(db, user_id))
    return reply(user, status, {"Location": user.links.self} if status == 201 else None)


async def _require_password(account: Account, data: UserChange) -> None:
    """A token alone does not change the address, by which the password could be reset."""
    if await is_email_taken(db, data.email):
        raise EmailTakenError
    if not data.password:
        _refuse(password="Please send your password to change your email address.")
    if await authenticate(account.username, data.password, may_rehash=False) is None:
        _refuse(password="This is not your password.")


def _refuse(**faults: str | None) -> None:
    found = [Fault(name, fault) for name, fault in faults.items() if fault]
    if found:
        raise InvalidInputError(found)


def _number(text: str) -> int:
    """The id in a text; 0, which nobody has, for any other text."""
    good = text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_ID
    return int(text) if good else 0
