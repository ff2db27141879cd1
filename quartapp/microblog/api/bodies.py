"""Request bodies: reading and validating them, and saying what is wrong; and JSON responses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from quart import request

from quartapp.flasklike import Response, abort
from quartapp.microblog.exceptions import Fault, InvalidInputError

M = TypeVar("M", bound=BaseModel)

TAKES_BODY = "_api_body"
"""The attribute of a view that holds the model of its body, for the OpenAPI document."""

OPTIONAL_BODY = "_api_optional_body"

MOST_KEYS = 100
"""Keys of a body. Valid bodies have only a few; each unknown key would be a fault."""

MOST_FAULTS = 20
"""How many faults an answer names."""

_LONGEST_NAME = 64
"""How much of an unknown key an answer repeats."""

_REQUIRED = "This field is required."

# pydantic's messages are for developers; these are for people, as on the pages.
_MESSAGES = {
    "missing": _REQUIRED,
    "string_too_short": _REQUIRED,
    "string_type": "This must be a text.",
    "string_too_long": "Field cannot be longer than {max_length} characters.",
    "extra_forbidden": "There is no field of this name.",
    "model_type": "This must be a JSON object.",
}


def takes(
    model: type[BaseModel], *, optional: bool = False
) -> Callable[[Callable[..., Awaitable[Response]]], Callable[..., Awaitable[Response]]]:
    """Pass the validated body to the view as its argument `data`.

    Raises 415 for a content type other than JSON, 400 for a body that is not JSON (RFC 8259: UTF-8,
    no lone surrogates), is nested more than 200 deep or has more than MOST_KEYS keys, and
    InvalidInputError with a fault for each field, up to MOST_FAULTS. With `optional` a request
    without a body is one with an empty object.
    """

    def decorate(view: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
        @wraps(view)
        async def wrapper(*args: Any, **kwargs: Any) -> Response:
            is_left_out = optional and not await request.get_data()
            data = model() if is_left_out else await read(model)
            return await view(*args, data=data, **kwargs)

        setattr(wrapper, TAKES_BODY, model)
        setattr(wrapper, OPTIONAL_BODY, optional)
        return wrapper

    return decorate


async def read(model: type[M]) -> M:
    """The request's body as a model; see `takes`."""
    if not request.is_json:
        abort(415, "Send JSON, with the header 'Content-Type: application/json'.")
    try:
        # Not request.get_json(): a deeply nested body would end json.loads in a RecursionError.
        body = from_json(await request.get_data())
    except ValueError as error:
        abort(400, f"The body is not valid JSON: {error}.")
    # Before pydantic, which makes an object for each fault.
    if isinstance(body, dict) and len(body) > MOST_KEYS:
        abort(400, f"The body has more than {MOST_KEYS} fields.")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    raise InvalidInputError(_faults(details))


def reply(
    model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A model as a JSON response."""
    # Unset fields are left out: an email address is only set for its owner.
    body = model.model_dump_json(by_alias=True, exclude_unset=True)
    return Response(body, status, headers, content_type="application/json")


def no_content() -> Response:
    """An empty response, for success without a result."""
    return Response(None, 204)


def _faults(details: Sequence[ErrorDetails]) -> list[Fault]:
    # The fields of the model come first, so only unknown ones are left out.
    faults = [_fault(detail) for detail in details[:MOST_FAULTS]]
    if more := len(details) - len(faults):
        faults.append(Fault("", f"{more} more fields are wrong."))
    return faults


def _fault(detail: ErrorDetails) -> Fault:
    message = _MESSAGES.get(detail["type"], detail["msg"])
    name = ".".join(map(str, detail["loc"]))
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}..."
    return Fault(name, message.format_map(detail.get("ctx", {})))
