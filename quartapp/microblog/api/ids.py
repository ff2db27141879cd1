"""Ids in addresses."""

from werkzeug.routing import BaseConverter


class IdConverter(BaseConverter):
    """A primary key in its one spelling; anything else is an unknown address.

    Numbers beyond 64 bits get as far as the query, which knows nobody of that id. Were they
    refused here, Werkzeug would answer 405 where several rules share an address.
    """

    regex = r"[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)
