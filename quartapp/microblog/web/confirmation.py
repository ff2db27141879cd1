"""Asking for the password again before a change that a borrowed browser must not make."""

from quartapp.database import reading_first
from quartapp.microblog.identity import current_person
from quartapp.microblog.models.user import PASSWORD_LENGTH, find_credentials
from quartapp.microblog.passwords import hasher, is_password_right


async def is_own_password(password: str) -> bool:
    """Whether this is the password of the person who is logged in.

    Call it before the request reads or writes anything else: hashing takes a tenth of a second or
    more, and must hold neither a connection nor SQLite's write lock. Raises LoginRequiredError;
    ServerBusyError.
    """
    person = current_person()
    if len(password) > PASSWORD_LENGTH:
        return False
    hasher().require_room()
    async with reading_first() as reader:
        credentials = await find_credentials(reader, person.username)
    password_hash = credentials.password_hash if credentials else None
    return await is_password_right(password_hash, password)
