"""What the microblog limits, and for whom (docs/decisions/0115)."""

import hashlib
from typing import NamedTuple, cast

from quart import Quart, current_app, request

from quartapp import throttling
from quartapp.microblog.config import Settings
from quartapp.microblog.models.base import utc_now
from quartapp.throttling.settings import Limit, limit_of
from quartapp.throttling.throttle import Throttle, current_throttle


class Limits(NamedTuple):
    """The limits of the settings LIMIT_..., by their names."""

    passwords: Limit
    passwords_of_address: Limit
    registrations: Limit
    posts: Limit
    tokens: Limit
    mails: Limit
    api: Limit


def init_app(app: Quart, settings: Settings) -> Throttle:
    """Give an application its throttle and its limits."""
    app.extensions["limits"] = Limits(
        *(limit_of(getattr(settings, f"limit_{name}"), name) for name in Limits._fields)
    )
    return throttling.init_app(app, clock=lambda: utc_now().timestamp())


def limits() -> Limits:
    """The limits of the current application."""
    return cast(Limits, current_app.extensions["limits"])


def sender() -> str:
    """Where the current request comes from, as one client: see `network_of`."""
    return throttling.network_of(request.remote_addr)


async def limit_registrations() -> None:
    """Count a registration from this address. Raises ThrottledError, as the following do."""
    reason = "Too many accounts were registered from your network."
    await current_throttle().hit(limits().registrations, sender(), reason=reason)


async def limit_posts(user_id: int) -> None:
    """Count a post of a person."""
    reason = "You have written many posts in a short time."
    await current_throttle().hit(limits().posts, str(user_id), reason=reason)


async def limit_tokens(user_id: int) -> None:
    """Count a token that is issued to a person."""
    reason = "You have asked for many tokens in a short time."
    await current_throttle().hit(limits().tokens, str(user_id), reason=reason)


async def limit_mails(email: str) -> None:
    """Count a mail that somebody asks for: for its address, and for theirs."""
    reason = "There were too many such requests in a short time."
    for key in (f"from {sender()}", f"for {digest(email.casefold())}"):
        await current_throttle().hit(limits().mails, key, reason=reason)


async def limit_api() -> None:
    """Count a request to the API from this address."""
    reason = "Too many requests came from your network."
    await current_throttle().hit(limits().api, sender(), reason=reason)


def digest(text: str) -> str:
    """A short key for a text that may be long, or private."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
