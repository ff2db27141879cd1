"""The verbs that the steps of functions use.

A verb is a generator that yields everything that may have to be awaited. It returns a pair: whether
the function ends with this step, and with which value.
"""

from collections.abc import Callable
from typing import Any

from tests.system.parity import templates
from tests.system.parity.answering import AWAITED_RETURNS, RETURNS, STREAMS
from tests.system.parity.reading import AWAITED_READS, READS
from tests.system.parity.run import Run
from tests.system.parity.sides import Body
from tests.system.parity.specification import Step
from tests.system.parity.vocabulary import ABORTS, ERRORS, Domain

Arguments = tuple[Any, ...]
GOES_ON = (False, None)


def perform(run: Run, step: Step, args: Arguments, sync: bool) -> Body:
    run.journal.mark(f"{step.do} {step.what}")
    return (yield from VERBS[step.do](run, step.what, args, sync))


def read(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    if what in AWAITED_READS:
        found = yield from AWAITED_READS[what](run)
    else:
        found = READS[what](run)
    run.journal.note("read", what, found)
    return GOES_ON


def write_session(run: Run) -> None:
    run.web.session["count"] = run.web.session.get("count", 0) + 1


def write_permanent(run: Run) -> None:
    run.web.session.permanent = True


def fail_later(response: Any) -> None:
    raise Domain("after this request")


def mark_later(response: Any) -> None:
    response.headers["X-Later"] = "yes"


def call_later(run: Run, action: Callable[[Any], None]) -> None:
    def later(response: Any) -> Body:
        run.journal.note("call", "later")
        yield
        action(response)
        return response

    run.web.after_this_request(run.side.function(later, sync=False))


WRITES: dict[str, Callable[[Run], None]] = {
    "session": write_session,
    "session permanent": write_permanent,
    "session clear": lambda run: run.web.session.clear(),
    "header later": lambda run: call_later(run, mark_later),
    "error later": lambda run: call_later(run, fail_later),
    "log": lambda run: run.web.current_app.logger.warning("from %s", "a function"),
    "log exception": lambda run: run.web.current_app.logger.exception("seen"),  # noqa: LOG004
    "g": lambda run: setattr(run.web.g, "seen", run.web.g.get("seen", 0) + 1),
}


def write(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    if what == "flash":
        yield run.web.flash("message", "category")
    else:
        WRITES[what](run)
    return GOES_ON


TEMPLATES = {
    "page.html": "{{ colour }} {{ g.seen }} {{ request.path }} {{ session.get('count') }}",
    "undefined.html": "{{ absent.attribute }}",
    "syntax.html": "{% if %}",
    "escape.html": "{{ '<b>' }} {{ get_flashed_messages() }} {{ url_for('index') }}",
    "unbuildable.html": "{{ url_for('nowhere') }}",
    "error.html": "{{ boom() }}",
}


RENDERS = (*TEMPLATES, "string", "missing.html")


def boom() -> str:
    raise Domain("in a template")


def render(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    if what == "string":
        text = yield run.web.render_template_string("<p>{{ colour }}{{ x }}</p>", x="<x>")
    else:
        text = yield run.web.render_template(what, boom=boom)
    return True, text


def render_generated(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    text = yield run.web.render_template_string(what, **templates.prepare(run))
    return True, text


def stream_generated(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    stream = yield run.web.stream_template_string(what, **templates.prepare(run))
    return True, stream


def fail(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    yield
    if what == "again":
        raise  # a handler may raise what is being handled
    if what == "argument":
        raise args[-1]
    if what == "chained":
        raise Domain("chained") from ValueError("cause")
    if what in ABORTS:
        positional, named = ABORTS[what](run.web)
        run.web.abort(*positional, **named)
    raise ERRORS[what](run.web)


def answer(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    if what in AWAITED_RETURNS:
        return True, (yield AWAITED_RETURNS[what](run.web))
    yield
    if what == "argument":
        return True, args[-1]
    if what in STREAMS:
        return True, run.side.stream(STREAMS[what], sync=sync)()
    return True, RETURNS[what](run.web)


CHANGES = ("header", "status", "body", "cookie")


def change(run: Run, what: str, args: Arguments, sync: bool) -> Body:
    """What functions that get a response do to it."""
    yield
    response = args[0]
    if what == "header":
        response.headers["X-Changed"] = "yes"
    elif what == "status":
        response.status_code = 299
    elif what == "body":
        response.set_data("changed")
    else:
        response.set_cookie("name", "value")
    return GOES_ON


VERBS = {
    "read": read,
    "write": write,
    "render": render,
    "template": render_generated,
    "stream template": stream_generated,
    "raise": fail,
    "return": answer,
    "change": change,
}
