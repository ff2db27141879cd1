"""JSON of this application."""

from datetime import date

from flask.json.provider import DefaultJSONProvider

from .store import Recipe


class RecipeJSONProvider(DefaultJSONProvider):
    sort_keys = False

    @staticmethod
    def default(value):
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Recipe):
            return value.as_dict()
        return DefaultJSONProvider.default(value)
