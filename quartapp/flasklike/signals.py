"""Sending signals, at no cost for a signal without receivers."""

from typing import TYPE_CHECKING, Any

from blinker import Signal

if TYPE_CHECKING:
    from quart import Quart


async def send_signal(signal: Signal, app: "Quart", **values: Any) -> None:
    """Call the receivers of *signal* for *app*, one after the other; synchronous ones in threads.

    The first exception of a receiver is raised, and further receivers are not called.
    """
    if signal.receivers and not signal.is_muted:
        for receiver in signal.receivers_for(app):
            await app.ensure_async(receiver)(app, **values)
