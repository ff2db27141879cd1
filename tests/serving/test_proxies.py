"""Forwarded headers count only from as many proxies as PROXY_HOPS says, under any server."""

import pytest
from quart import Quart, request

from quartapp.serving import proxies

FORGED = {"X-Forwarded-For": "192.0.2.1", "Remote-Addr": "192.0.2.1"}
ONE = {
    "X-Forwarded-For": "192.0.2.1, 203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "example.com",
}
DIRECTLY = ("http", "127.0.0.1", "localhost")


@pytest.mark.parametrize(
    ("hops", "headers", "seen"),
    [
        (0, FORGED, DIRECTLY),
        (0, ONE, DIRECTLY),
        (1, {}, DIRECTLY),
        (1, {"Remote-Addr": "192.0.2.1"}, DIRECTLY),
        (1, ONE, ("https", "203.0.113.9", "example.com")),
        (2, FORGED, DIRECTLY),
        (2, {"X-Forwarded-For": "192.0.2.1, 203.0.113.9"}, ("http", "192.0.2.1", "localhost")),
    ],
)
async def test_the_client_is_named_by_trusted_proxies_alone(
    hops: int, headers: dict[str, str], seen: tuple[str, str, str]
) -> None:
    app = Quart(__name__)
    app.config["PROXY_HOPS"] = hops
    proxies.init_app(app)

    @app.get("/")
    async def index() -> list[str | None]:
        return [request.scheme, request.remote_addr, request.host]

    peer = {"client": ("127.0.0.1", 4711)}
    answer = await app.test_client().get("/", headers=headers, scope_base=peer)
    assert await answer.get_json() == list(seen)
