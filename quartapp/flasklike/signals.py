"""Signals, sent without cost where nobody listens."""

from typing import TYPE_CHECKING, Any

from blinker import Signal

if TYPE_CHECKING:
    from quart import Quart


async def send(signal: Signal, app: "Quart", **values: Any) -> None:
    """Send *signal* for *app*; synchronous receivers run in threads, one after the other."""
    if signal.receivers and not signal.is_muted:
        for receiver in signal.receivers_for(app):
            await app.ensure_async(receiver)(app, **values)
