"""Mutants: bodies that nothing has read before the response."""

from typing import Any

from quartapp.flasklike import App
from quartapp.flasklike.asgi.http import HTTPConnection
from tests.system.parity.mutants import mutant


class Discarding(HTTPConnection):
    async def _take_what_has_arrived(self, body: Any, *, is_last: bool) -> None:
        body.abandon()
        await super()._take_what_has_arrived(body, is_last=is_last)


@mutant("a body can be read after the response")
class BodiesEndWithTheResponse(App):
    asgi_http_class = Discarding


class Unmarked(HTTPConnection):
    async def _send_last_part(self, request: Any, data: bytes, send: Any) -> None:
        request.body._complete.clear()  # as if nobody knew that none comes
        await super()._send_last_part(request, data, send)


@mutant("a body that cannot come is empty after the response")
class BodiesOfGet(App):
    asgi_http_class = Unmarked
