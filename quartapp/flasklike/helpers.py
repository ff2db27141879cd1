"""The functions of a view, under Flask's name for this module."""

from typing import Any

from quart.helpers import abort as abort
from quart.helpers import get_load_dotenv as get_load_dotenv
from quart.helpers import get_root_path as get_root_path
from quart.helpers import get_template_attribute as get_template_attribute
from quart.helpers import make_push_promise as make_push_promise
from werkzeug.utils import redirect as redirect_to
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.flasklike._upstream import cv_app
from quartapp.flasklike.config import get_debug_flag as get_debug_flag
from quartapp.flasklike.ctx import stream_with_context as stream_with_context
from quartapp.flasklike.routing import url_for as url_for
from quartapp.flasklike.sessions import flash as flash
from quartapp.flasklike.sessions import get_flashed_messages as get_flashed_messages
from quartapp.flasklike.static import send_file as send_file
from quartapp.flasklike.static import send_from_directory as send_from_directory
from quartapp.flasklike.wrappers.response import make_response as make_response


def redirect(location: str, code: int = 302, Response: type[Any] | None = None) -> WerkzeugResponse:
    """A response that sends the client to *location*.

    *Response* is its class outside of an application context. In one the application's method
    `redirect` makes it, as in Flask.
    """
    context = cv_app.get(None)
    if context is not None:
        response: WerkzeugResponse = context.app.redirect(location, code=code)
        return response
    return redirect_to(location, code=code, Response=Response)
