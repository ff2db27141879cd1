"""Tokens: a username and password for a token, and the end of a token."""

from quartapp.database import request_session
from quartapp.flasklike import Response
from quartapp.microblog.api.authentication import check_password, presented_token, token_required
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.bodies import no_content, reply
from quartapp.microblog.api.openapi import answers
from quartapp.microblog.api.schemas import Token
from quartapp.microblog.models.token import issue_token, revoke_token


@blueprint.post("/tokens")
@answers(201, Token, errors=(401,), password=True)
async def create_token() -> Response:
    """Issue a token for a username and password (HTTP's Basic scheme)."""
    issued = await issue_token(request_session(), await check_password())
    return reply(Token(token=issued.token, expires_at=issued.expires_at), 201)


@blueprint.delete("/tokens")
@token_required
@answers(204)
async def revoke() -> Response:
    """Revoke the token that the request carries."""
    await revoke_token(request_session(), presented_token())
    return no_content()
