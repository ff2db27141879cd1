"""Applications that answer "pong" and do nothing else.

They measure the server's own part of every other figure. They import no library, so that both
environments can import them.
"""

from typing import Any

PONG = b"pong"


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PONG})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", "4")]
    start_response("200 OK", headers)
    return [PONG]
