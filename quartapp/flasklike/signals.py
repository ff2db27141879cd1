"""Signals, sent without cost where nobody listens."""

from typing import TYPE_CHECKING, Any

from blinker import Signal

if TYPE_CHECKING:
    from quart import Quart


async def send(signal: Signal, app: "Quart", **values: Any) -> None:
    """Send *signal* for *app*; synchronous receivers run in threads, one after the other."""
    if signal.receivers:
        wrapper: Any = app.ensure_async
        await signal.send_async(app, _sync_wrapper=wrapper, **values)
