"""Where operators look at errors: pages over the tables of `reporting`, in the same application.

Each subject is a module with a function `register(blueprint)`, which adds its routes; `routes`
calls them. A view asks `store.database()`, and answers with `pages.page(...)`. Who may come in,
the token of forms, header fields, and the page of a database that is away are decided in `access`,
for every route alike. All text of a report is hostile: `text` makes it visible, and the templates'
environment escapes it; nothing of it is ever markup, a link or a script.

Not here: what is recorded and counted, and the acts themselves (`reporting/`).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quartapp.inbox.extension import Inbox
    from quartapp.inbox.site import Act

__all__ = ["Act", "Inbox"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # With SQLAlchemy, for those who use it.
    value: object = getattr(import_module("quartapp.inbox.extension"), name)
    globals()[name] = value
    return value
