"""Commands that add people."""

import asyncio

import click
from email_validator import EmailNotValidError, validate_email

from quartapp.database import Database
from quartapp.microblog.commands.tools import with_database
from quartapp.microblog.exceptions import ConflictError
from quartapp.microblog.models.event import EventKind, add_events
from quartapp.microblog.models.text import normalized, username_fault
from quartapp.microblog.models.user import (
    EMAIL_LENGTH,
    PASSWORD_LENGTH,
    USERNAME_LENGTH,
    add_user,
)
from quartapp.microblog.names import name_fault
from quartapp.microblog.password_rules import password_fault
from quartapp.microblog.passwords import hash_now
from quartapp.microblog.trail import event


@click.command("create-admin")
@click.argument("username")
@click.argument("email")
@click.password_option(help="If it is not given, the command asks for it.")
def create_admin(username: str, email: str, password: str) -> None:
    """Add a person who may see the errors of this site."""
    username = normalized(username)  # as the login page reads it
    _check(username, email)
    _check_password(password, username, email)

    async def work(database: Database) -> None:
        password_hash = await asyncio.to_thread(hash_now, password)
        async with database.session() as session:
            user = await add_user(session, username, email, password_hash, is_admin=True)
            await add_events(session, [event(EventKind.REGISTERED, user.id, "by create-admin")])

    try:
        with_database(work)
    except ConflictError as error:
        raise click.ClickException(f"{error.field}: {error.message}") from error
    click.echo(f"{username} may now log in, and is an administrator.")


def _check(username: str, email: str) -> None:
    if not 1 <= len(username) <= USERNAME_LENGTH:
        raise click.BadParameter(
            f"expected 1 to {USERNAME_LENGTH} characters", param_hint="username"
        )
    # A reserved name is good for an administrator.
    if fault := username_fault(username) or name_fault(username):
        raise click.BadParameter(fault, param_hint="username")
    try:
        validate_email(email, check_deliverability=False)
    except EmailNotValidError as error:
        raise click.BadParameter(str(error), param_hint="email") from error
    if len(email) > EMAIL_LENGTH:
        raise click.BadParameter(f"expected at most {EMAIL_LENGTH} characters", param_hint="email")


def _check_password(password: str, *names: str) -> None:
    if len(password) > PASSWORD_LENGTH:
        fault: str | None = f"expected at most {PASSWORD_LENGTH} characters"
    else:
        fault = password_fault(password, *names)
    if fault:
        raise click.BadParameter(fault, param_hint="password")
