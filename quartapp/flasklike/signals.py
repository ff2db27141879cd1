"""The signals, and sending them at no cost where a signal has no receivers."""

from typing import TYPE_CHECKING, Any

from blinker import Namespace as Namespace
from blinker import Signal
from quart.signals import appcontext_popped as appcontext_popped
from quart.signals import appcontext_pushed as appcontext_pushed
from quart.signals import appcontext_tearing_down as appcontext_tearing_down
from quart.signals import before_render_template as before_render_template
from quart.signals import got_background_exception as got_background_exception
from quart.signals import got_request_exception as got_request_exception
from quart.signals import got_serving_exception as got_serving_exception
from quart.signals import got_websocket_exception as got_websocket_exception
from quart.signals import message_flashed as message_flashed
from quart.signals import request_finished as request_finished
from quart.signals import request_started as request_started
from quart.signals import request_tearing_down as request_tearing_down
from quart.signals import signals_available as signals_available
from quart.signals import template_rendered as template_rendered
from quart.signals import websocket_finished as websocket_finished
from quart.signals import websocket_received as websocket_received
from quart.signals import websocket_sent as websocket_sent
from quart.signals import websocket_started as websocket_started
from quart.signals import websocket_tearing_down as websocket_tearing_down

if TYPE_CHECKING:
    from quart import Quart


async def send_signal(signal: Signal, app: "Quart", **values: Any) -> None:
    """Call the receivers of *signal* for *app*, one after the other; synchronous ones in threads.

    The first exception of a receiver is raised, and further receivers are not called.
    """
    if signal.receivers and not signal.is_muted:
        for receiver in signal.receivers_for(app):
            await app.ensure_async(receiver)(app, **values)
