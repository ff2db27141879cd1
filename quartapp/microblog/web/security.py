"""What happened to one's own account."""

from quart import ResponseReturnValue

from quartapp.flasklike import Blueprint, render_template
from quartapp.microblog.identity import current_person
from quartapp.microblog.models.event import EVENT_LIFE
from quartapp.microblog.trail import latest_events
from quartapp.microblog.web.presentation import show_events

blueprint = Blueprint("security", __name__)


@blueprint.get("/security")
async def security() -> ResponseReturnValue:
    """The latest security events of the person who is logged in."""
    events = show_events(await latest_events(current_person().id))
    return await render_template(
        "security.html", title="Security", events=events, days=EVENT_LIFE.days
    )
