"""The session with which a test looks at rows and changes them while the application writes."""

from typing import Any

from sqlalchemy import event

from quartapp.database import DatabaseEngine, Session
from quartapp.database.drivers.driver import IMMEDIATE

_READS = ("SELECT", "WITH", "PRAGMA")


def session_for_tests(database: DatabaseEngine) -> Session:
    """A session that reads without a transaction on SQLite, and begins one with its first write.

    A transaction that begins with a read cannot write after another connection has written: a test
    would fail with "database is locked" if a task of the application writes between the two.
    """
    session = database.session(write=False)
    engine = database.engine
    if engine.dialect.driver == "onehop":
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(engine.sync_engine, "before_cursor_execute", _begin_before_writing)
        session.sync_session.bind = engine.sync_engine
    return session


def _begin_before_writing(connection: Any, _cursor: object, statement: str, *_: object) -> None:
    driver = connection.connection.driver_connection
    if not (driver.in_transaction or statement.lstrip().upper().startswith(_READS)):
        driver.begin_with = IMMEDIATE
        driver.begin()
        driver.begin_with = None
