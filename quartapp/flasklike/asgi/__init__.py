"""What an ASGI server calls: one connection is one object, for HTTP or a websocket."""
