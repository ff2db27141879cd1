"""URL converters."""

from werkzeug.routing import BaseConverter


class SlugConverter(BaseConverter):
    regex = "[a-z][a-z0-9-]*"

    def to_python(self, value):
        return value.lower()

    def to_url(self, value):
        return super().to_url(value.lower().replace(" ", "-"))
