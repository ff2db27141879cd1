"""Ids in addresses."""

from werkzeug.routing import BaseConverter


class IdConverter(BaseConverter):
    """A primary key in its only spelling; anything else is an unknown address.

    Numbers beyond 64 bits are accepted, and the query finds nothing. If they were rejected here,
    Werkzeug would answer 405 for an address that several rules share.
    """

    regex = r"[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)
