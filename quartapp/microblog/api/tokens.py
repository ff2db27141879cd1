"""Tokens: a username and password for a token, the caller's tokens, and their end."""

from quartapp.flasklike import Response
from quartapp.microblog.api.authentication import (
    also_unconfirmed,
    any_scope,
    caller_id,
    check_password,
    presented_token,
    token_required,
)
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.bodies import no_content, reply, takes
from quartapp.microblog.api.listing import reply_page, wanted_page
from quartapp.microblog.api.openapi import answers
from quartapp.microblog.api.schemas import NewToken, Token, TokenInfo, TokenList
from quartapp.microblog.database import db
from quartapp.microblog.exceptions import ForbiddenError
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.models.token import (
    TokenRow,
    issue_token,
    revoke_own_token,
    revoke_token,
    tokens_of,
)
from quartapp.microblog.throttling import limit_tokens
from quartapp.microblog.trail import record_event


@blueprint.post("/tokens")
@takes(NewToken, optional=True)
@answers(201, Token, errors=(401, 403), password=True)
async def create_token(data: NewToken) -> Response:
    """Issue a token for a username and password (HTTP's Basic scheme)."""
    person = await check_password()
    if "admin" in data.scope.split() and not person.is_admin:
        raise ForbiddenError("Only administrators may have the scope 'admin'.")
    await limit_tokens(person.id)
    issued = await issue_token(db, person.id, person.login_epoch, name=data.name, scope=data.scope)
    record_event(EventKind.TOKEN_ISSUED, person.id, data.scope)
    token = Token(
        token=issued.token, expires_at=issued.expires_at, name=data.name, scope=data.scope
    )
    return reply(token, 201)


@blueprint.get("/tokens")
@token_required
@answers(200, TokenList, errors=(404,), paged=True)
async def list_tokens() -> Response:
    """List the caller's valid tokens."""
    wanted = wanted_page()
    page = await tokens_of(db, caller_id(), wanted)
    return reply_page(page, wanted, TokenList, _show)


@blueprint.delete("/tokens")
@token_required
@any_scope
@also_unconfirmed
@answers(204)
async def revoke() -> Response:
    """Revoke the token that the request carries."""
    await revoke_token(db, presented_token())
    record_event(EventKind.TOKEN_REVOKED, caller_id())
    return no_content()


@blueprint.delete("/tokens/<id:token_id>")
@token_required
@also_unconfirmed
@answers(204, errors=(404,))
async def revoke_one(token_id: int) -> Response:
    """Revoke one of the caller's tokens."""
    await revoke_own_token(db, caller_id(), token_id)
    record_event(EventKind.TOKEN_REVOKED, caller_id())
    return no_content()


def _show(row: TokenRow) -> TokenInfo:
    return TokenInfo(**row._asdict())
