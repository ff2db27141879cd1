"""Server-sent events (WHATWG HTML, 9.2): what changes while a page is open.

A stream ends after LIFE seconds, and the browser opens it again where it ended. So who may not see
the inbox any more is cut off within a minute, and a server whose stop cannot be seen (see
`App.is_stopping`) waits no longer than that. A stream also ends after MOST_BYTES, which is less
than a server keeps for a client that does not read: it never waits for one.
"""

import math
import random
import time
from collections.abc import AsyncIterator, Sequence

from quart import Response, request

from quartapp.errors.admission import leave
from quartapp.inbox.live.feed import OVERVIEW, Event, Feed, Look
from quartapp.inbox.overview import live_texts
from quartapp.inbox.site import current_site
from quartapp.reporting import expect

LIFE = 50.0
"""Seconds after which a stream ends, and a fifth less for some, so that not all end at once."""

HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent: proxies end connections that are idle."""

RETRY = 300
"""Milliseconds after which a browser opens a stream again that has ended."""

MOST_BYTES = 48 * 1024
"""More than the events of one round take."""

_FULL = 10
_EXPECTED = "open pages"


async def events() -> Response:
    feed = current_site().feed
    if feed.is_full or feed.is_over:
        expect(_EXPECTED)
        return Response("Too many pages are open.", 503, {"Retry-After": str(_FULL)})
    number = feed.number
    since = _since()
    missed = [] if since is None else await feed.missed(since)
    leave()  # it waits for hours, and is no load
    look = live_texts if request.args.get("of") == OVERVIEW else None
    stream = _stream(feed, number, missed, look)
    response = Response(stream, content_type="text/event-stream")
    response.timeout = None
    response.headers["X-Accel-Buffering"] = "no"  # nginx would collect events
    return response


def _since() -> float | None:
    """The position from which a page continues: that of a stream that ended, or its own."""
    text = request.headers.get("Last-Event-ID") or request.args.get("since", "")
    try:
        value = float(text[:40])
    except ValueError:
        return None
    return value if math.isfinite(value) else None


async def _stream(
    feed: Feed, number: int, missed: Sequence[Event], look: Look | None
) -> AsyncIterator[bytes]:
    until = time.monotonic() + LIFE * random.uniform(0.8, 1)
    feed.join(look)
    try:
        yield f"retry: {RETRY}\n\n".encode()
        events: Sequence[Event] = missed
        size = 0
        while True:
            for event in events:
                if event.kind == OVERVIEW and look is None:
                    continue
                text = _text(event)
                size += len(text)
                if size > MOST_BYTES:
                    return
                yield text
            left = until - time.monotonic()
            if feed.is_over or left <= 0:
                return
            if number == feed.number:
                await feed.wait(min(left, HEARTBEAT))
            if number == feed.number:
                yield b": \n\n"
            events, number = feed.after(number), feed.number
    finally:
        feed.leave(look)


def _text(event: Event) -> bytes:
    return f"id: {event.position!r}\nevent: {event.kind}\ndata: {event.data}\n\n".encode()
