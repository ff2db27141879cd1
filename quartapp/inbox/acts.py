"""What operators do to an error: forms without scripts, and a page for what could not be done."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import time
from typing import Any

from quart import Response, redirect, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.database.dialect import database_now
from quartapp.inbox.one_view import act_words
from quartapp.inbox.pages import page
from quartapp.inbox.site import Act, current_site
from quartapp.inbox.store import database
from quartapp.reporting.exceptions import ConflictError, DecisionError, GroupNotFoundError
from quartapp.reporting.queries import triage
from quartapp.reporting.queries.groups import find_group
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.queries.triage import Decision, Outcome
from quartapp.reporting.tables import ActKind, ErrorGroup

_MOST = 2**31 - 1
_MOST_HOURS = 24 * 36_500

_logger = logging.getLogger(__name__)

Answer = Response | WerkzeugResponse
Made = Callable[[float], Decision]
"""Makes a decision at a time, by the clock of the database."""


async def carry_out(seen: Mapping[int, str | None], made: Made) -> Outcome:
    """Carry out a decision of the operator who sends this request about many groups, in one
    transaction; see `triage.decide_all`. Then `on_act` is called for each."""
    who = current_site().operator
    async with (await database()).begin() as session:
        now = await database_now(session)
        decision = made(now)
        outcome = await triage.decide_all(session, seen, decision, who=who, now=now)
    await _notify(outcome.done, decision, who)
    return outcome


async def resolve(group_id: int) -> Answer:
    form = await request.form
    if form.get("release") != "next":
        return await _act(group_id, form, triage.resolve)
    release = current_site().pipeline.recorder.origin.release
    return await _act(group_id, form, lambda now: triage.resolve_in_next(release, now))


async def reopen(group_id: int) -> Answer:
    return await _act(group_id, await request.form, lambda _: triage.reopen())


async def mute(group_id: int) -> Answer:
    form = await request.form
    return await _act(group_id, form, lambda now: _mute(form, now))


async def comment(group_id: int) -> Answer:
    form = await request.form
    text = form.get("text", "")
    try:
        return await _act(group_id, form, lambda _: triage.comment(text))
    except GroupNotFoundError:
        title = "There is no such error any more"
        return await page("gone.html", title=title, status=404, text=text)


async def confirm_delete(group_id: int) -> Answer:
    """The question before an error is deleted."""
    group = await _group(group_id)
    return await page("delete.html", title=f"Delete this error? {group.title}", group=group)


async def delete(group_id: int) -> Answer:
    form = await request.form
    site = current_site()
    try:
        async with (await database()).begin() as session:
            group = await triage.delete(session, group_id, seen=_version(form))
    except ConflictError as error:
        return await _refused(group_id, 409, str(error), form, error.acts)
    _logger.info("%s deleted the error %d: %s", site.operator, group_id, group.fingerprint)
    await _notify([group], Decision(ActKind.DELETE), site.operator)
    return redirect(site.url("list"), 303)


async def _act(group_id: int, form: Mapping[str, str], made: Callable[[float], Decision]) -> Answer:
    """Carry out the decision that is made at a time."""
    site = current_site()
    seen = _version(form)
    try:
        async with (await database()).begin() as session:
            now = await database_now(session)
            decision = made(now)
            group = await triage.decide(
                session, group_id, decision, who=site.operator, now=now, seen=seen
            )
    except ConflictError as error:
        return await _refused(group_id, 409, str(error), form, error.acts)
    except DecisionError as error:
        return await _refused(group_id, 400, str(error), form)
    await _notify([group], decision, site.operator)
    return redirect(site.error_url(group_id), 303)


async def _refused(
    group_id: int, status: int, text: str, form: Mapping[str, str], acts: Sequence[Any] = ()
) -> Response:
    """The forms again, with what was typed, and what others have done since."""
    group = await _group(group_id)
    return await page(
        "refused.html",
        title=group.title,
        status=status,
        text=text,
        acts=acts,
        group=group,
        state=state_of(group, time()),
        typed=dict(form),
        act_words=act_words,
    )


async def _group(group_id: int) -> ErrorGroup:
    async with (await database()).session(write=False) as session:
        return await find_group(session, group_id)


def _version(form: Mapping[str, str]) -> str:
    if not (version := form.get("version")):
        raise BadRequest("The form does not say which version of the error was seen.")
    return version


def _mute(form: Mapping[str, str], now: float) -> Decision:
    """The mute that a form asks for. Raises DecisionError."""
    match form.get("until"):
        case "again":
            return triage.mute(more=0)
        case "hours":
            return triage.mute(until=now + 3600 * _number(form, "hours", _MOST_HOURS))
        case "time":
            return triage.mute(until=_time(form.get("time", ""), now))
        case "more":
            return triage.mute(more=_number(form, "more", _MOST))
        case "rate":
            return triage.mute(rate=_number(form, "rate", _MOST))
        case "forever":
            return triage.mute()
    raise DecisionError("Choose for how long the error is muted.")


def _number(form: Mapping[str, str], name: str, most: int) -> int:
    text = form.get(name, "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 12 and 1 <= int(text) <= most:
        return int(text)
    raise DecisionError(f"Expected a whole number from 1 to {most:,}.")


def _time(text: str, now: float) -> float:
    """The time of a field, in UTC: there is no script that would know the reader's zone."""
    try:
        given = datetime.fromisoformat(text[:40])
    except ValueError:
        given = None
    if given is None or given.tzinfo is not None:
        raise DecisionError("Expected a time such as 2030-01-31 18:00, in UTC.")
    moment = given.replace(tzinfo=UTC).timestamp()
    if moment <= now:
        raise DecisionError("This time is over already. Times are in UTC.")
    return moment


async def _notify(groups: Sequence[ErrorGroup], decision: Decision, who: str) -> None:
    """Call `on_act`. What was done is done: its errors are only logged."""
    site = current_site()
    if site.on_act is None:
        return
    for group in groups:
        act = Act(decision.kind.value, who, decision.text, group.id, group.fingerprint, group.title)
        try:
            await site.app.ensure_async(site.on_act)(act)
        except Exception:
            _logger.exception("on_act failed for %s of the error %d", act.kind, act.group_id)
