"""The proxies of what is current, under Flask's name for this module."""

from quart.globals import app_ctx as app_ctx
from quart.globals import current_app as current_app
from quart.globals import g as g
from quart.globals import request as request
from quart.globals import request_ctx as request_ctx
from quart.globals import session as session
from quart.globals import websocket as websocket
from quart.globals import websocket_ctx as websocket_ctx
