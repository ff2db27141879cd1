"""What the client sees of an error: which handler answers it, as a page or as JSON.

`ErrorPages(app)` is the extension. A response never shows the text of an exception that was not
written for people. It never fails: the last resort is a page without template, database or session.
Imports `flasklike`, and `reporting` and `database` only in applications that use them.
"""

from quartapp.errors import headers
from quartapp.errors.extension import ErrorPages
from quartapp.errors.handlers import RETRY_AFTER, error_response
from quartapp.errors.responses import wants_json

__all__ = ["RETRY_AFTER", "ErrorPages", "error_response", "headers", "wants_json"]
