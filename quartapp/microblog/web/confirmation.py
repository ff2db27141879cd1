"""Asking for the password again before a change that a borrowed browser must not make."""

from quartapp.microblog.credentials import authenticate
from quartapp.microblog.identity import current_person
from quartapp.microblog.models.user import PASSWORD_LENGTH


async def is_own_password(password: str) -> bool:
    """Whether this is the password of the person who is logged in.

    Call it before the request reads or writes anything else: hashing takes a tenth of a second or
    more, and must hold neither a connection nor SQLite's write lock. Raises LoginRequiredError;
    ThrottledError or ServerBusyError.
    """
    person = current_person()
    if len(password) > PASSWORD_LENGTH:
        return False
    return await authenticate(person.username, password, may_rehash=False) is not None
