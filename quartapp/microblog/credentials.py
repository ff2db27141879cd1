"""Checking a password: for logins, for tokens of the API, and before changes of an account.

Tries are counted before the password is hashed, for the account and the address together and for
the address alone. Nobody can lock the owner of an account out from elsewhere.
"""

import logging

from blinker import Namespace
from quart import current_app
from sqlalchemy.exc import SQLAlchemyError

from quartapp.microblog.database import db
from quartapp.microblog.exceptions import ServerBusyError
from quartapp.microblog.models.event import EventKind, failures_since_login
from quartapp.microblog.models.user import Credentials, find_credentials, replace_password_hash
from quartapp.microblog.passwords import hash_password, hasher, is_password_right
from quartapp.microblog.throttling import digest, limits, sender
from quartapp.microblog.trail import record_event, trail
from quartapp.throttling import ThrottledError
from quartapp.throttling.throttle import current_throttle, in_words

MANY_FAILURES = 3
"""Failed logins of which their owner is notified at the next login."""

guessing = Namespace().signal("guessing")
"""Sent once an address has tried many wrong passwords for an account, in a background task. A
receiver is an async function of the application, with the keywords `user_id` and `address`."""

_REASON = "Too many wrong passwords."

_logger = logging.getLogger(__name__)


async def authenticate(
    username: str, password: str, *, may_rehash: bool = True
) -> Credentials | None:
    """Whose username and password these are; None if they are wrong.

    A weak hash is replaced in the background, unless the caller is about to change the row.

    It takes as long for a name that nobody has. No lock and no connection is held while the
    password is hashed. Raises ThrottledError or ServerBusyError.
    """
    hasher().require_room()
    credentials = await find_credentials(db, username)
    if credentials is None:
        await _check(None, f"name {digest(username)}", None, password)
        return None
    key = f"person {credentials.id}"
    if not await _check(credentials.id, key, credentials.password_hash, password):
        return None
    if may_rehash and hasher().is_weak(credentials.password_hash):
        current_app.add_background_task(
            _rehash, credentials.id, credentials.password_hash, password
        )
    return credentials


async def failures_before(user_id: int) -> int:
    """How many logins have failed since the last one; 0 if that cannot be read."""
    await trail().written()
    try:
        return await failures_since_login(db, user_id)
    except SQLAlchemyError as error:
        _logger.error("Failed logins could not be counted: %s", error)
        return 0


async def _check(user_id: int | None, key: str, password_hash: str | None, password: str) -> bool:
    throttle, limit, here = current_throttle(), limits(), sender()
    try:
        await throttle.hit(limit.passwords_of_address, here, reason=_REASON)
    except ThrottledError as error:
        if error.is_first:
            record_event(EventKind.LOGIN_THROTTLED, None, "the address")
        raise
    try:
        wait = await throttle.begin_try(limit.passwords, key, here, reason=_REASON)
    except ThrottledError:  # nothing was tried
        await throttle.take_back(limit.passwords_of_address, here)
        raise
    if await is_password_right(password_hash, password):
        await throttle.end_tries(limit.passwords, key, here)
        await throttle.take_back(limit.passwords_of_address, here)
        return True
    await throttle.fail_try(limit.passwords, key, here, wait=wait)
    record_event(EventKind.LOGIN_FAILED, user_id)
    if wait:
        record_event(EventKind.LOGIN_THROTTLED, user_id, f"for {in_words(wait)}")
    if wait == 1 and user_id is not None:
        current_app.add_background_task(_notify, user_id, here)
    return False


async def _rehash(user_id: int, old_hash: str, password: str) -> None:
    """Store a hash of today's strength, unless the password was changed meanwhile."""
    try:
        new_hash = await hash_password(password)
        await replace_password_hash(db.database, user_id, old_hash, new_hash)
    except (ServerBusyError, SQLAlchemyError) as error:
        _logger.warning("A password is hashed again at the next login only: %s", error)


async def _notify(user_id: int, address: str) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy
    await guessing.send_async(app, _sync_wrapper=app.ensure_async, user_id=user_id, address=address)
