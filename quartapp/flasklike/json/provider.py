"""What `App.json_provider_class` may derive from: Flask's classes."""

from flask.json.provider import DefaultJSONProvider as DefaultJSONProvider
from flask.json.provider import JSONProvider as JSONProvider
