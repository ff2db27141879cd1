"""Commands for operators: `quart --app APP errors ...`, for any application with reporting.

The application is loaded as `quart` does it. Each module adds commands to the group `errors`:
`listing` what shows errors, `acts` what operators decide, `upkeep` the rest.
"""

from quartapp.reporting.commands import acts, listing, upkeep
from quartapp.reporting.commands.group import errors

__all__ = ["acts", "errors", "listing", "upkeep"]
