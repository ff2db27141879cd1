"""What the client sees of an error: which handler answers it, as a page or as JSON.

A response never shows the text of an exception that was not written for people. It never fails: the
last resort is a page without template, database or session. An application registers handlers for
its own errors in addition. Imports `reporting`, `database` and `flasklike`.
"""

from quartapp.errors import admission, bounds, deadlines, headers
from quartapp.errors.handlers import init_app
from quartapp.errors.plain import PlainPage

__all__ = ["PlainPage", "admission", "bounds", "deadlines", "headers", "init_app"]
