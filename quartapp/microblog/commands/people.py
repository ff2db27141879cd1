"""Commands that add and promote people."""

import asyncio
from functools import partial

import click
from email_validator import EmailNotValidError, validate_email

from quartapp.database import DatabaseEngine
from quartapp.microblog.commands.tools import with_database
from quartapp.microblog.exceptions import ConflictError
from quartapp.microblog.models.event import EventKind, add_events
from quartapp.microblog.models.text import normalized, username_fault
from quartapp.microblog.models.user import (
    EMAIL_LENGTH,
    PASSWORD_LENGTH,
    USERNAME_LENGTH,
    add_admin,
    add_user,
    find_account,
)
from quartapp.microblog.names import name_fault
from quartapp.microblog.password_rules import password_fault
from quartapp.microblog.passwords import hash_now
from quartapp.microblog.trail import event


@click.command("create-admin")
@click.argument("username")
@click.argument("email", required=False)
@click.option("--password", help="Of a new person. If it is not given, the command asks for it.")
@click.option("--promote", is_flag=True, help="Do not ask before somebody is promoted.")
def create_admin(username: str, email: str | None, password: str | None, promote: bool) -> None:
    """Add a person who may see the errors of this site, or let an existing one see them.

    Without EMAIL, or with the address that the person has, USERNAME is somebody who is registered
    already; their password stays as it is.
    """
    username = normalized(username)  # as the login page reads it
    _check_name(username)
    if email is not None:
        _check_email(email)
    if password is not None:
        _check_password(password, username, email or "")
    account = with_database(partial(find_account, username=username))
    if account is not None and email in {None, account[1]}:
        _promote(username, account[0], is_admin=account[2], is_sure=promote)
    elif email is None:
        raise click.UsageError(f"Nobody is called {username}: to add them, name an EMAIL too.")
    else:
        _add(username, email, password)


def _promote(username: str, user_id: int, *, is_admin: bool, is_sure: bool) -> None:
    if is_admin:
        click.echo(f"{username} is an administrator already; nothing was changed.")
        return
    if not is_sure:
        click.confirm(f"{username} is registered already. Make them an administrator?", abort=True)

    async def work(database: DatabaseEngine) -> None:
        async with database.session() as session:
            await add_admin(session, user_id)
            await add_events(session, [event(EventKind.PROMOTED, user_id, "by create-admin")])

    with_database(work)
    click.echo(f"{username} is an administrator now; their password stays as it is.")


def _add(username: str, email: str, password: str | None) -> None:
    if password is None:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
        _check_password(password, username, email)
    new_password = password

    async def work(database: DatabaseEngine) -> None:
        password_hash = await asyncio.to_thread(hash_now, new_password)
        async with database.session() as session:
            user = await add_user(session, username, email, password_hash, is_admin=True)
            await add_events(session, [event(EventKind.REGISTERED, user.id, "by create-admin")])

    try:
        with_database(work)
    except ConflictError as error:
        raise click.ClickException(f"{error.field}: {error.message}") from error
    click.echo(f"{username} may now log in, and is an administrator.")


def _check_name(username: str) -> None:
    if not 1 <= len(username) <= USERNAME_LENGTH:
        raise click.BadParameter(
            f"expected 1 to {USERNAME_LENGTH} characters", param_hint="username"
        )
    # A reserved name is good for an administrator.
    if fault := username_fault(username) or name_fault(username):
        raise click.BadParameter(fault, param_hint="username")


def _check_email(email: str) -> None:
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
