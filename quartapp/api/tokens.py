"""Tokens: a username and password for a token, and the end of a token."""

from quartapp.api.authentication import check_password, presented_token, token_required
from quartapp.api.blueprint import blueprint
from quartapp.api.bodies import no_content, reply
from quartapp.api.openapi import answers
from quartapp.api.schemas import Token
from quartapp.database import request_session
from quartapp.flasklike import Response
from quartapp.models.token import issue_token, revoke_token


@blueprint.post("/tokens")
@answers(201, Token, errors=(401,), password=True)
async def create_token() -> Response:
    """Issue a token to whoever sends their username and password (HTTP's Basic scheme)."""
    issued = await issue_token(request_session(), await check_password())
    return reply(Token(token=issued.token, expires_at=issued.expires_at), 201)


@blueprint.delete("/tokens")
@token_required
@answers(204)
async def revoke() -> Response:
    """Revoke the token that is sent."""
    await revoke_token(request_session(), presented_token())
    return no_content()
