"""Which revisions of the tables this version of the code can work with."""

NEEDED = "0008"
"""The newest migration when this version was written."""

_INCOMPATIBLE = "-incompatible"


def schema_fault(revision: str) -> str:
    """Why this version cannot work with tables of this revision; "" if it can.

    It works with later ones, so that a database can be migrated before the servers are replaced,
    unless the name of the revision ends with "-incompatible".
    """
    if revision < NEEDED:
        return f"The database is at revision {revision}: run 'alembic upgrade head' first."
    if revision > NEEDED and revision.endswith(_INCOMPATIBLE):
        return f"The database is at revision {revision}, which needs a later version of the server."
    return ""
