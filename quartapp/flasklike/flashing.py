"""Messages that are shown on the next page."""

from collections.abc import Iterable
from typing import Any

from quart import session
from quart.globals import request_ctx


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[Any]:
    """Take the messages out of the session; the same for every call in a request.

    With categories they are pairs of category and message. Works without a secret key, where there
    can be no messages.
    """
    context: Any = request_ctx
    if context.flashes is None:
        context.flashes = session.pop("_flashes") if "_flashes" in session else []
    flashes: list[tuple[str, str]] = context.flashes
    wanted = tuple(category_filter)
    if wanted:
        flashes = [flash for flash in flashes if flash[0] in wanted]
    return list(flashes) if with_categories else [message for _, message in flashes]
