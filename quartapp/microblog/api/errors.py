"""Views of the errors that reporting has counted, for programs of administrators.

They answer from the database of errors, as the pages of the inbox do: see docs/inbox.md.
"""

from time import time
from typing import Any

from quart import current_app

from quartapp.database.dialect import database_now
from quartapp.database.types import MAX_ID
from quartapp.flasklike import Response, url_for
from quartapp.inbox.asked import Asked, asked
from quartapp.inbox.store import database
from quartapp.microblog.api.authentication import admin_only, caller_id, token_required
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.bodies import reply, takes
from quartapp.microblog.api.openapi import answers
from quartapp.microblog.api.schemas import (
    Error,
    ErrorDocument,
    ErrorLinks,
    ErrorList,
    NewErrorAct,
    PageLinks,
    PageMeta,
)
from quartapp.microblog.database import db
from quartapp.microblog.models.event import EventKind
from quartapp.microblog.models.user import find_profile
from quartapp.microblog.trail import record_event
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.queries import triage
from quartapp.reporting.queries.listing import (
    MAX_SEARCH,
    SIZE,
    SORTS,
    STATES,
    TAGS,
    Position,
    list_page,
    state_of,
)
from quartapp.reporting.queries.triage import Decision, version_of
from quartapp.reporting.tables import TITLE_LENGTH

_POSITION = {"type": "string", "pattern": "^[0-9]{1,19}-[0-9]{1,19}$"}
_FILTERS: dict[str, Any] = {
    "q": {"type": "string", "maxLength": MAX_SEARCH},
    "state": {"enum": list(STATES)},
    "sort": {"enum": list(SORTS)},
    "since": {"enum": ["1h", "24h", "7d", "30d"]},
    **{name: {"type": "string", "maxLength": TITLE_LENGTH} for name in TAGS},
    "after": _POSITION,
    "before": _POSITION,
}


@blueprint.get("/errors")
@token_required
@admin_only
@answers(200, ErrorList, errors=(400,), filters=_FILTERS)
async def list_errors() -> Response:
    """List errors, as the list of the inbox does."""
    now = time()
    wanted = asked(now)
    found = await list_page(
        await database(), wanted.wanted, now, after=wanted.after, before=wanted.before
    )
    links = PageLinks(
        self=_page(wanted, "after", wanted.after) or _page(wanted, "before", wanted.before) or "",
        next=_page(wanted, "after", found.after),
        prev=_page(wanted, "before", found.before),
    )
    if not links.self:
        links.self = url_for("api.list_errors", **wanted.parameters)
    items = [_show(row, now) for row in found.rows]
    return reply(
        ErrorList(items=items, meta=PageMeta(per_page=SIZE, count=len(items)), links=links)
    )


@blueprint.get("/errors/<id:error_id>")
@token_required
@admin_only
@answers(200, ErrorDocument, errors=(404,))
async def get_error(error_id: int) -> Response:
    """Show an error with its counts, its newest report, and what was done about it."""
    from quartapp.inbox.one import json_text  # with what few processes need

    return Response(await json_text(_possible(error_id)), content_type="application/json")


@blueprint.post("/errors/<id:error_id>/acts")
@token_required
@admin_only
@takes(NewErrorAct)
@answers(200, Error, errors=(404, 409))
async def act_on_error(error_id: int, data: NewErrorAct) -> Response:
    """Resolve, reopen or mute an error, or write a comment about it."""
    who = (await find_profile(db, caller_id())).username
    async with (await database()).begin() as session:
        now = await database_now(session)
        decision = _decision(data, now)
        group = await triage.decide(
            session, _possible(error_id), decision, who=who, now=now, seen=data.version
        )
        await session.refresh(group)
        shown = _show(group, now)
    record_event(EventKind.ERROR_ACT, caller_id(), f"{decision.kind} error {error_id}")
    return reply(shown)


def _possible(error_id: int) -> int:
    if error_id > MAX_ID:
        raise GroupNotFoundError("There is no such error.")
    return error_id


def _decision(data: NewErrorAct, now: float) -> Decision:
    """Raises DecisionError."""
    match data.act:
        case "resolve":
            return triage.resolve(now)
        case "resolve_next":
            release = current_app.extensions["reporting"].recorder.origin.release
            return triage.resolve_in_next(release, now)
        case "reopen":
            return triage.reopen()
        case "comment":
            return triage.comment(data.text)
    until = now + 3600 * data.hours if data.hours else None
    return triage.mute(until=until, more=data.more, rate=data.rate)


def _page(wanted: Asked, name: str, position: Position | None) -> str | None:
    if position is None:
        return None
    where = {name: f"{position.value}-{position.id}"}
    return url_for("api.list_errors", **wanted.parameters, **where)


def _show(group: Any, now: float) -> Error:
    return Error(
        id=group.id,
        fingerprint=group.fingerprint,
        title=group.title,
        message=group.message,
        culprit=group.culprit,
        route=group.route,
        state=state_of(group, now),
        count=group.count,
        people=group.people,
        first_seen=group.first_seen,
        last_seen=group.last_seen,
        version=version_of(group),
        links=ErrorLinks(self=url_for("api.get_error", error_id=group.id)),
    )
