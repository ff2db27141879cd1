"""What views, handlers and hooks return."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import Conflict
from werkzeug.wrappers import Response as WerkzeugResponse

from tests.system.parity.vocabulary import Domain


def chunks_then_error() -> Any:
    yield "one "
    raise Domain("in the stream")


def error_before_chunks() -> Any:
    raise Domain("before the stream")
    yield "never"


def chunks() -> Any:
    yield "one "
    yield "two"


STREAMS: dict[str, Callable[[], Any]] = {
    "stream": chunks,
    "stream error": chunks_then_error,
    "stream error first": error_before_chunks,
}
Maker = Callable[[Any], Any]
RETURNS: dict[str, Maker] = {
    "str": lambda web: "text",
    "empty": lambda web: "",
    "bytes": lambda web: b"\xff bytes",
    "bytearray": lambda web: bytearray(b"array"),
    "dict": lambda web: {"b": 1, "a": "é"},
    "list": lambda web: [1, {"a": None}],
    "iterator": lambda web: iter(["one", "two"]),
    "none": lambda web: None,
    "int": lambda web: 7,
    "object": lambda web: object(),
    "set": lambda web: {1},
    "tuple of one": lambda web: ("text",),
    "tuple of four": lambda web: ("text", 200, {}, 4),
    "tuple of none": lambda web: (None, 400),
    "status": lambda web: ("text", 418),
    "status str": lambda web: ("text", "418 Short and stout"),
    "status str code": lambda web: ("text", "404"),
    "status enum": lambda web: ("text", HTTPStatus.ACCEPTED),
    "status unknown": lambda web: ("text", 799),
    "status empty": lambda web: ("text", ""),
    "headers dict": lambda web: ("text", {"X-A": "1", "Content-Type": "text/x"}),
    "headers list": lambda web: ("text", [("X-A", "1"), ("X-A", "2")]),
    "headers tuple": lambda web: ("text", (("X-A", "1"),)),
    "headers object": lambda web: ("text", Headers([("X-A", "1"), ("X-A", "2")])),
    "headers many": lambda web: ("text", 400, {"X-A": ["1", "2"]}),
    "headers newline": lambda web: ("text", {"X-A": "1\r\nX-B: 2"}),
    "all three": lambda web: ({"a": 1}, 409, {"X-A": "1"}),
    "created": lambda web: ("", 201, {"Location": "/café x"}),
    "location relative": lambda web: ("", 302, {"Location": "next?a=b#c"}),
    "204": lambda web: ("", 204),
    "204 text": lambda web: ("text", 204),
    "304 text": lambda web: ("text", 304),
    "response": lambda web: web.Response("own", status=202, headers={"X-A": "1"}),
    "response empty": lambda web: web.Response(),
    "response tuple": lambda web: (web.Response("own", status=202), 203, {"X-A": "1"}),
    "response werkzeug": lambda web: WerkzeugResponse("foreign", 210, mimetype="text/x"),
    "error": lambda web: Conflict("returned"),
    "error tuple": lambda web: (Conflict("returned"), 499),
    "error class": lambda web: Domain("returned"),
    "redirect": lambda web: web.redirect("/café?x=ü"),
    "redirect 307": lambda web: web.redirect("/there", 307),
    "jsonify": lambda web: web.jsonify(a=1, b=[2]),
    "jsonify list": lambda web: web.jsonify(1, 2),
    "jsonify unserializable": lambda web: web.jsonify(object()),
    "dict unserializable": lambda web: {"a": object()},
}
AWAITED_RETURNS: dict[str, Maker] = {
    "make_response": lambda web: web.make_response("made"),
    "make_response status": lambda web: web.make_response("made", 206),
    "make_response tuple": lambda web: web.make_response(("made", 207, {"X-A": "1"})),
    "make_response none": lambda web: web.make_response(None),
    "make_response nothing": lambda web: web.make_response(),
    "make_response error": lambda web: web.make_response(Conflict("made")),
}
