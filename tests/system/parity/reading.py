"""What functions read of the request, the session and the application."""

from collections.abc import Callable
from typing import Any

from tests.system.parity.observe import describe_active_error
from tests.system.parity.run import Run
from tests.system.parity.sides import Body

Reader = Callable[[Run], Any]
READS: dict[str, Reader] = {
    "args": lambda run: run.web.request.args["missing"],
    "args int": lambda run: run.web.request.args.get("n", 0, type=int),
    "cookie": lambda run: run.web.request.cookies["missing"],
    "header": lambda run: run.web.request.headers["X-Missing"],
    "url": lambda run: run.web.request.url,
    "path": lambda run: (run.web.request.path, run.web.request.full_path),
    "host": lambda run: run.web.request.host,
    "endpoint": lambda run: (
        run.web.request.endpoint,
        tuple(run.web.request.blueprints),
        str(run.web.request.url_rule),
        type(run.web.request.routing_exception).__name__,
    ),
    "session": lambda run: run.web.session["missing"],
    "session get": lambda run: run.web.session.get("count"),
    "app": lambda run: (run.web.current_app.name, run.web.has_request_context()),
    "app name": lambda run: run.web.current_app.name,
    "flashes": lambda run: tuple(run.web.get_flashed_messages()),
    "limit": lambda run: run.web.request.max_content_length,
    "exc_info": lambda run: describe_active_error(),
    "url_for": lambda run: run.web.url_for("index"),
    "url_for external": lambda run: run.web.url_for("index", _external=True, _anchor="a b", q="é"),
    "url_for self": lambda run: run.web.url_for("index", self="a value"),
    "url_for unknown": lambda run: run.web.url_for("nowhere", _anchor="x", _method="PUT", n=1),
    "url_for relative": lambda run: run.web.url_for(".nowhere"),
    "url_for scheme": lambda run: run.web.url_for("index", _scheme="https", _external=False),
    "url_for values": lambda run: run.web.url_for("convert"),
    "url_for to_url": lambda run: run.web.url_for("convert", value="domain"),
}


def read_form(run: Run) -> Body:
    form = yield run.web.request.form
    return form["missing"]


def read_form_all(run: Run) -> Body:
    form = yield run.web.request.form
    files = yield run.web.request.files
    return tuple((key, tuple(form.getlist(key))) for key in sorted(form)), tuple(sorted(files))


def read_files(run: Run) -> Body:
    files = yield run.web.request.files
    return files["missing"].filename


def read_values(run: Run) -> Body:
    values = yield run.web.request.values
    return values["missing"]


def read_json(run: Run) -> Body:
    found = yield run.web.request.get_json()
    return repr(found)


def read_json_property(run: Run) -> Body:
    found = yield run.web.request.json
    return repr(found["name"])


def read_json_forced(run: Run) -> Body:
    found = yield run.web.request.get_json(force=True)
    return repr(found)


def read_json_silent(run: Run) -> Body:
    found = yield run.web.request.get_json(silent=True)
    return repr(found)


def read_data(run: Run) -> Body:
    return (yield run.web.request.get_data())


def read_text(run: Run) -> Body:
    return (yield run.web.request.get_data(as_text=True))


def read_limited(run: Run) -> Body:
    run.web.request.max_content_length = 15
    return (yield run.web.request.get_data())


AWAITED_READS: dict[str, Callable[[Run], Body]] = {
    "form": read_form,
    "form all": read_form_all,
    "files": read_files,
    "values": read_values,
    "json": read_json,
    "json property": read_json_property,
    "json forced": read_json_forced,
    "json silent": read_json_silent,
    "data": read_data,
    "text": read_text,
    "limited": read_limited,
}
