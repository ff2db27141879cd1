"""The tables and their queries. A query is a function whose first argument is the session.

Lists are returned as rows (named tuples), not as entities: rows are cheaper, and nothing in them
can load lazily or expire while a page is rendered.
"""

from quartapp.microblog.models.account_mail import AccountMail
from quartapp.microblog.models.base import Base
from quartapp.microblog.models.event import SecurityEvent
from quartapp.microblog.models.login import Login
from quartapp.microblog.models.post import Post
from quartapp.microblog.models.token import ApiToken
from quartapp.microblog.models.user import User, followers
from quartapp.reporting.tables import ErrorAlert, ErrorGroup, ErrorMinute, ErrorSample, ErrorSegment

__all__ = [
    "AccountMail",
    "ApiToken",
    "Base",
    "ErrorAlert",
    "ErrorGroup",
    "ErrorMinute",
    "ErrorSample",
    "ErrorSegment",
    "Login",
    "Post",
    "SecurityEvent",
    "User",
    "followers",
]
