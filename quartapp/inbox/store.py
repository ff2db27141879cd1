"""The database of errors, for the views. Its errors become a page: see `access`."""

from quartapp.database import DatabaseEngine
from quartapp.inbox.site import current_site


async def database() -> DatabaseEngine:
    """The database, with its tables: reporting makes those of its own file.

    Raises the database's errors, and NewerSchemaError; a view lets them pass.
    """
    pipeline = current_site().pipeline
    await pipeline.prepare()
    return pipeline.database
