"""The handler of `App.logger`, under Flask's name for this module: it is Flask's own."""

from flask.logging import create_logger as create_logger
from flask.logging import default_handler as default_handler
from flask.logging import has_level_handler as has_level_handler
from flask.logging import wsgi_errors_stream as wsgi_errors_stream
