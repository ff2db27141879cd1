"""Sending signals, at no cost where nobody listens."""

from typing import TYPE_CHECKING, Any

from blinker import Signal

if TYPE_CHECKING:
    from quart import Quart


async def send_signal(signal: Signal, app: "Quart", **values: Any) -> None:
    """Call the receivers of *signal* for *app*, one after the other; synchronous ones in threads.

    The first error of a receiver ends this and is raised.
    """
    if signal.receivers and not signal.is_muted:
        for receiver in signal.receivers_for(app):
            await app.ensure_async(receiver)(app, **values)
