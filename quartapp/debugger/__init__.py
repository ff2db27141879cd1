"""An interactive debugger for development: Flask's, with `await`.

What the developer sees of an error lives here: the page with its frames, variables and prompts
(`frames`, `source`, `values`, `prompt`, `page`), who may use it (`access`), and the development
server's side of it (`hosting`, `reload`). Nothing here knows the microblog: the package imports
nothing else of quartapp. An application has the debugger hung in as its `debugger` attribute
(`flasklike.Debugger` is the interface), which only the development command does: nothing that
serves production imports this package.
"""

from quartapp.debugger.server.access import Access, machine_pin
from quartapp.debugger.server.debugger import Debugger
from quartapp.debugger.server.hosting import Hosting

__all__ = ["Access", "Debugger", "Hosting", "machine_pin"]
