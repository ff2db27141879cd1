"""The tables and their queries. A query is a function that takes the session first.

Lists are returned as rows (named tuples), not as entities: cheaper, and nothing in them can load
lazily or expire while a page is rendered.
"""

from quartapp.models.base import Base
from quartapp.models.error_group import (
    ErrorAlert,
    ErrorGroup,
    ErrorMinute,
    ErrorSample,
    ErrorSegment,
)
from quartapp.models.post import Post
from quartapp.models.token import ApiToken
from quartapp.models.user import User, followers

__all__ = [
    "ApiToken",
    "Base",
    "ErrorAlert",
    "ErrorGroup",
    "ErrorMinute",
    "ErrorSample",
    "ErrorSegment",
    "Post",
    "User",
    "followers",
]
