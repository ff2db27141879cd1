"""Who may see the errors, asked so that its time tells nobody else that there is something to see.

Whether a login is genuine and whose it is, is a question to the database. A request of somebody
else must not take longer than one for an unknown address, which asks nothing. So who is an
administrator is in memory, and only for those who were is the login looked up.
"""

import logging
from collections import OrderedDict
from time import monotonic
from typing import cast

from quart import Quart, current_app
from sqlalchemy.exc import SQLAlchemyError

from quartapp.inbox import Act
from quartapp.microblog.database import db
from quartapp.microblog.identity import current_person, visitor
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.models.user import is_administrator
from quartapp.microblog.trail import record_event

ASK_EVERY = 5.0
"""Seconds after which it is asked again whether somebody is an administrator, for the next time."""

_MOST = 10_000

_logger = logging.getLogger(__name__)


def init_app(app: Quart) -> None:
    """Call it after `identity.init_app`."""
    app.extensions["administrators"] = Administrators()
    app.before_request(note_person)


async def note_person() -> None:
    """Learn from each page whether its visitor is an administrator."""
    person = visitor().person
    if person is not None:
        _known().note(person.id, person.is_admin)


async def administrator() -> str | None:
    """The name of the administrator who sends this request; None for all others.

    For others it waits for no query, except at their first request in a process. Somebody who has
    become an administrator is one here after any other page, or at the second request here that is
    ASK_EVERY later.
    """
    claim = visitor().claim()
    if claim is None or not await _known().may_have(claim.user_id):
        return None
    person = visitor().person or await visitor().load()
    return person.username if person is not None and person.is_admin else None


async def record_act(act: Act) -> None:
    """Record what an administrator did about an error."""
    record_event(EventKind.ERROR_ACT, current_person().id, f"{act.kind} error {act.group_id}")


class Administrators:
    """Who is an administrator, from memory: whom it is worth looking up."""

    def __init__(self) -> None:
        self._found: OrderedDict[int, tuple[bool, float]] = OrderedDict()

    async def may_have(self, user_id: int) -> bool:
        """Whether somebody was an administrator when it was asked last."""
        if user_id not in self._found:
            await self._ask(user_id)
        is_admin, asked = self._found[user_id]
        if monotonic() - asked > ASK_EVERY:
            self.note(user_id, is_admin)
            current_app.add_background_task(self._ask, user_id)
        return is_admin

    def note(self, user_id: int, is_admin: bool) -> None:
        """Learn what the database has just said."""
        self._found[user_id] = (is_admin, monotonic())
        if len(self._found) > _MOST:
            self._found.popitem(last=False)

    async def _ask(self, user_id: int) -> None:
        try:
            is_admin = await is_administrator(db, user_id)
        except (SQLAlchemyError, OSError) as error:
            is_admin = False
            _logger.warning("Could not find out who is an administrator: %s", type(error).__name__)
        self.note(user_id, is_admin)


def _known() -> Administrators:
    return cast(Administrators, current_app.extensions["administrators"])
