"""What the client sees of an error: which handler answers, as a page or as JSON.

Domain errors become HTTP here and nowhere else. A response never shows the text of an exception
that was not written for people, and never fails itself: the last resort is a page without
template, database or session.
"""

from quartapp.errors import admission
from quartapp.errors.handlers import init_app

__all__ = ["admission", "init_app"]
