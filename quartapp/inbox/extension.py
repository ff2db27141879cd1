"""The extension: an inbox of errors below a prefix of an application."""

import logging
import re

from quart import Quart

from quartapp.inbox import access
from quartapp.inbox.routes import blueprint
from quartapp.inbox.site import Act, Allow, OnAct, Site
from quartapp.inbox.tokens import check_key
from quartapp.installation import check_installable

__all__ = ["Act", "Inbox"]

_PREFIX = re.compile(r"(?:/[\w.~-]+)+", re.ASCII)

_logger = logging.getLogger(__name__)


class Inbox:
    """The pages on which operators look at the errors of an application, and act on them.

        Reporting(app)
        Inbox(app, allow=lambda: session.get("is_admin"))

    Or `inbox = Inbox(allow=...)`, then `inbox.init_app(app)` in a factory: one object serves any
    number of applications. What belongs to one of them is `app.extensions["inbox"]`, a `Site`.

    `allow` is called without arguments in the context of each request below `url_prefix`, after the
    application's before_request functions, and may be asynchronous; a plain function is called in
    the event loop, so it must not block. Only if it returns a true value
    does the inbox answer. For all others, and for everybody without `allow`, every address below
    the prefix is one that the application does not know: `request.endpoint` is None in its
    functions, and the answer is its own 404, made by the same code. An HTTP error that `allow`
    raises counts as no. If `allow` returns a text, it is the operator's name, which the record of
    each act has; otherwise that has the address.

    `on_act` is called with an `Act` after each act of an operator, in the context of the request,
    for a trail of the application itself; it may be asynchronous. If it fails, the log says so and
    the act stays done.

    The inbox needs Reporting, and SECRET_KEY for its forms.
    """

    def __init__(
        self,
        app: Quart | None = None,
        *,
        url_prefix: str = "/errors",
        allow: Allow | None = None,
        on_act: OnAct | None = None,
    ) -> None:
        if not _PREFIX.fullmatch(url_prefix):
            raise ValueError(f"Inbox: expected an url_prefix such as '/errors', not {url_prefix!r}")
        if allow is not None and not callable(allow):
            raise TypeError("Inbox: allow is a function without arguments")
        if on_act is not None and not callable(on_act):
            raise TypeError("Inbox: on_act is a function that takes an Act")
        self._prefix = url_prefix
        self._allow = allow
        self._on_act = on_act
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Serve the inbox of this application too.

        Nothing connects, and no file, thread or task is made. When the application begins to serve
        without SECRET_KEY this raises ConfigurationError there. Raises RuntimeError if the
        application has an inbox already, has begun to serve, or has no Reporting.
        """
        check_installable(app, Inbox, "inbox")
        if "reporting" not in app.extensions:
            raise RuntimeError(
                f"The application {app.name!r} has no Reporting: call Reporting(app) before Inbox."
            )
        app.url_map.converters.setdefault("error_id", access.IdConverter)
        app.register_blueprint(blueprint(), url_prefix=self._prefix)
        site = Site(app, self._prefix, self._allow, self._on_act)
        app.extensions["inbox"] = site
        access.install(app, site)
        app.after_serving(site.feed.stop)

        @app.before_serving
        async def check() -> None:
            check_key(app)
            if self._allow is None:
                _logger.warning(
                    "Nobody may see the inbox of errors: Inbox(app, allow=...) says who"
                )
