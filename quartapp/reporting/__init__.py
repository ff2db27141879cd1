"""From an exception to a person: what the operator sees of an error.

Lives here: the doors by which an error shows itself, its report, the journal that keeps it, the
drainer that counts it, the policy that decides who hears of it, and the mail. Not here: what the
client sees (`errors/`), the pages on which operators read (`inbox/`). May import models, database,
config, exceptions and flasklike. `report`, `places`, `capture`, `scrub`, `fingerprint`, `policy`
and `message` are pure: no server, no database, no network, no clock of their own.

docs/report.md says in which module a line of code belongs.
"""

from quartapp.reporting.hooks.request_state import expect
from quartapp.reporting.setup import init_app

__all__ = ["expect", "init_app"]
