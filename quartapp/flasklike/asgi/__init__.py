"""What an ASGI server calls: one object for each HTTP request, and one for each websocket."""
