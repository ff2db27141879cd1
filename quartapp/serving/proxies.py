"""Who the client is behind proxies, under any server."""

from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart

from quartapp.serving.settings import ServingSettings


def init_app(app: Quart) -> None:
    """Trust as many forwarded headers as PROXY_HOPS says: client, scheme and host of a request.

    Reads `app.config` (see `ServingSettings`). Call it after other middleware that looks at the
    client or the host. Raises ConfigurationError.
    """
    hops = ServingSettings.from_config(app.config).proxy_hops
    if hops:
        app.asgi_app = ProxyFixMiddleware(  # type: ignore[method-assign]  # Quart's documented place
            app.asgi_app, mode="legacy", trusted_hops=hops
        )
