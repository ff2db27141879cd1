"""How an operator names an error: by its id, its reference, or the fingerprint's first digits."""

from contextlib import suppress
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.types import MAX_ID, is_storable
from quartapp.mail.strings import one_line
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.queries.groups import find_by_reference, find_group
from quartapp.reporting.references import as_typed
from quartapp.reporting.report import FINGERPRINT_LENGTH
from quartapp.reporting.tables import ErrorGroup

_SHORTEST = 4
_SHOWN = 5
_DIGITS = frozenset("0123456789abcdef-")
_LONGEST = 64
_ID = click.IntRange(min=1, max=MAX_ID)


class Key(click.ParamType[str]):
    """The name of an error, which `find` looks for."""

    name = "error"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not text or len(text) > _LONGEST or not is_storable(text):
            self.fail("expected an id, a reference, or the first digits of a fingerprint", param)
        is_other = as_typed(text) or _digits_of(text)
        if text.isascii() and text.isdigit() and (int(text) > MAX_ID or not is_other):
            _ID.convert(text, param, ctx)  # type: ignore[arg-type]  # as a command line gives it
        return text


argument = click.argument("key", metavar="ERROR", type=Key())


async def find(session: AsyncSession, key: str) -> ErrorGroup:
    """The error that a key names: an id, a reference, or at least four digits of a fingerprint,
    also after "#", as mails have them.

    Raises GroupNotFoundError, and ClickException if it names several.
    """
    if key.isascii() and key.isdigit() and int(key) <= MAX_ID:
        with suppress(GroupNotFoundError):
            return await find_group(session, int(key))
    with suppress(GroupNotFoundError):
        return await find_by_reference(session, key)
    digits = _digits_of(key)
    query = select(ErrorGroup).where(ErrorGroup.fingerprint.startswith(digits, autoescape=True))
    query = query.order_by(ErrorGroup.fingerprint).limit(_SHOWN + 1)
    found = (await session.scalars(query)).all() if digits else []
    if not found:
        raise GroupNotFoundError("There is no such error.")
    if len(found) == 1:
        return found[0]
    lines = [
        f"  {group.id:>6}  {group.fingerprint[:12]}  {one_line(group.title, 50)}"
        for group in found[:_SHOWN]
    ]
    more = ["  ..."] if len(found) > _SHOWN else []
    raise click.ClickException("\n".join([f"{key} names several errors:", *lines, *more]))


def _digits_of(key: str) -> str:
    """The digits of a fingerprint; "" if the key has none, or too few."""
    text = key.removeprefix("#").lower()
    is_one = _SHORTEST <= len(text) <= FINGERPRINT_LENGTH and _DIGITS.issuperset(text)
    return text if is_one else ""
