"""Backups of PostgreSQL, by its own programs: pg_dump, pg_restore and psql.

They get the password in their environment, because everybody sees command lines. No shell is used.
"""

import os
import re
import shutil
import subprocess
import tempfile
from glob import glob
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

from quartapp.database.backups.files import (
    Accept,
    Backup,
    BackupError,
    Deadline,
    Revisions,
    complete_file,
    full,
    refuse_empty,
)
from quartapp.database.url import without_pooler

SUFFIX = ".dump"

CONNECT_TIMEOUT = 5
"""Seconds that connecting to the server may take."""

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
"""Where Debian and Red Hat install the programs of each version."""

_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "ssl": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}
"""The options of an address, in the names that libpq reads."""

# What is not PostgreSQL's own, and does not belong to an extension.
_OWN = """n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.objid = {0}.oid AND d.deptype = 'e')"""
_RELATIONS = f"""pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND {_OWN.format("c")}"""

_STATE = f"""SELECT current_setting('server_version_num')::int / 10000,
    (SELECT count(*) FROM {_RELATIONS}),
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND coalesce(backend_type, 'client backend') = 'client backend')
"""

_EMPTY = f"""DO $$ DECLARE command text; BEGIN
FOR command IN
    SELECT format('DROP SCHEMA %I CASCADE', n.nspname)
        FROM pg_namespace n WHERE n.nspname <> 'public' AND {_OWN.format("n")}
    UNION ALL SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW'
            WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
            WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname)
        FROM {_RELATIONS} AND n.nspname = 'public'
    UNION ALL SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'public' AND {_OWN.format("p")}
    UNION ALL SELECT format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname)
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE n.nspname = 'public' AND t.typelem = 0 AND coalesce(c.relkind, 'c') = 'c'
            AND t.typtype <> 'm' AND {_OWN.format("t")}
LOOP EXECUTE command; END LOOP; END $$;
"""


def back_up(url: URL, target: Path, deadline: Deadline, *, overwrite: bool = False) -> Backup:
    """Dump a database as it is now, and read the dump to its end. Blocks; raises BackupError."""
    with complete_file(target, replace=overwrite) as incomplete:
        server = _Server(url, deadline)
        server.run("pg_dump", "--format=custom", f"--file={incomplete}", target=target)
        revisions = server.check(incomplete, "The backup cannot be read")
        refuse_empty(url.database or "", server.tables_in(incomplete))
        size = incomplete.stat().st_size
    return Backup(target, size, revisions)


def restore(
    backup: Path,
    url: URL,
    deadline: Deadline,
    accept: Accept,
    *,
    replace: bool = False,
) -> Revisions:
    """Restore a dump in one transaction; its revisions.

    It is read to its end first, and `accept` may raise. After any error the database is as it was.
    Nobody else may be connected to it. Blocks; raises BackupError.
    """
    server = _Server(url, deadline)
    if server.tables and not replace:
        raise BackupError(
            f"The database {url.database!r} has tables already: --replace drops them."
        )
    if server.others:
        raise BackupError(
            f"The database {url.database!r} is in use by {server.others} connections: stop the"
            " servers, and all else that is connected to it."
        )
    revisions = server.check(backup, f"{backup} is damaged, or no backup of PostgreSQL")
    accept(revisions, server.tables_in(backup))
    server.replay(backup)
    return revisions


class _Server:
    """A database with its programs.

    `tables` are those that it has, views and sequences included; `others` the connections of
    others.
    """

    def __init__(self, url: URL, deadline: Deadline) -> None:
        if without_pooler(url)[1]:
            raise BackupError(
                "DATABASE_URL leads to a pooler, which would give connections with pg_dump's"
                " settings to others: call this with DATABASE_POOLER=false and the server's own"
                " address."
            )
        self._deadline = deadline
        self._variables = _environment(url)
        installed = _installed()
        self._folder = max(installed.items())[1]  # psql of any version asks any server
        state = self.run("psql", *_QUIET, f"--command={_STATE}").decode()
        major, self.tables, self.others = map(int, state.split("|"))
        self._folder = _folder_for(major, installed)

    def run(self, program: str, *arguments: str, target: Path | None = None) -> bytes:
        """What a program writes. Raises BackupError with its own sentence."""
        done = self._try(program, *arguments)
        if done.returncode == 0:
            return done.stdout
        reason = _reason(done.stderr)
        if target is not None and "No space left on device" in reason:
            raise full(target)
        raise BackupError(f"{program} failed: {reason}")

    def check(self, backup: Path, otherwise: str) -> Revisions:
        """Read a dump to its end; its revisions of Alembic."""
        arguments = ("--data-only", "--table=alembic_version", "--file=-")
        for more in (("--file=/dev/null",), arguments):
            done = self._try("pg_restore", *more, str(backup))
            if done.returncode:
                raise BackupError(f"{otherwise}: {_reason(done.stderr)}")
        rows = re.search(r"^COPY .*\n((?s:.*?))^\\\.$", done.stdout.decode(), re.MULTILINE)
        return tuple(sorted(rows[1].split())) if rows else ()

    def tables_in(self, backup: Path) -> frozenset[str]:
        """The names of the tables in a dump that was checked."""
        listed = self.run("pg_restore", "--list", str(backup)).decode()
        return frozenset(
            re.findall(r"^\d+; \d+ \d+ TABLE (?!DATA )\S+ (.+) \S+$", listed, re.MULTILINE)
        )

    def replay(self, backup: Path) -> None:
        """Empty the database and execute a dump, in one transaction.

        pg_restore writes statements for psql. They are committed only when it has written all.
        """
        with tempfile.TemporaryFile() as said:
            psql = subprocess.Popen(
                [self._folder / "psql", *_QUIET, "--set=ON_ERROR_STOP=1", "--file=-"],
                env=self._variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            with psql:
                try:
                    fault = self._feed(psql.stdin, backup)
                    code = psql.wait(self._deadline.left())
                except BaseException as error:
                    psql.kill()  # the server rolls back
                    if isinstance(error, subprocess.TimeoutExpired):
                        self._deadline.left()
                    raise
            said.seek(0)
            if code:
                raise BackupError(f"Nothing was restored: {_reason(said.read())}")
            if fault:
                raise BackupError(f"Nothing was restored: {fault}")

    def _feed(self, stdin: IO[bytes] | None, backup: Path) -> str:
        """Write all to psql; what was wrong with the dump, which is not committed then."""
        assert stdin is not None
        fault = ""
        try:
            stdin.write(b"SET client_min_messages = error; BEGIN;\n" + _EMPTY.encode())
            stdin.flush()
            # Owners and rights are those of who restores: other roles may not exist there.
            arguments = ("--no-owner", "--no-privileges", "--file=-", str(backup))
            done = self._try("pg_restore", *arguments, stdout=stdin)
            if done.returncode:
                fault = _reason(done.stderr)
            else:
                stdin.write(b"ANALYZE; COMMIT;\n")
            stdin.close()
        except BrokenPipeError:
            pass  # psql has ended, and says why
        return fault

    def _try(
        self, program: str, *arguments: str, stdout: IO[bytes] | int = subprocess.PIPE
    ) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                [self._folder / program, *arguments],
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                timeout=self._deadline.left(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._deadline.left()
            raise
        except OSError as error:
            raise BackupError(f"{program} cannot be started: {error.strerror}.") from error


_QUIET = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password")


def _environment(url: URL) -> dict[str, str]:
    given = {"PGDATABASE": url.database, "PGUSER": url.username, "PGPASSWORD": url.password}
    given |= {"PGHOST": url.host, "PGPORT": str(url.port or "")}
    for option, value in url.query.items():
        if option in _VARIABLES:
            given[_VARIABLES[option]] = value if isinstance(value, str) else ",".join(value)
    ours = {name: value for name, value in given.items() if value}
    fixed = {"PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT), "PGAPPNAME": "quart db", "LC_ALL": "C"}
    inherited = os.environ  # noqa: TID251 handed on: libpq reads more of its variables
    return {**inherited, **fixed, **ours}


def _folder_for(major: int, installed: dict[int, Path]) -> Path:
    """The folder of the programs for a server: those of its version, else the next newer ones."""
    fitting = [version for version in installed if version >= major]
    if not fitting:
        raise BackupError(
            f"The server has PostgreSQL {major}, and the newest pg_dump here is of"
            f" {max(installed)}: install postgresql-client-{major}."
        )
    return installed[min(fitting)]


def _installed() -> dict[int, Path]:
    """The folders with the programs, by version. Raises BackupError if there are none."""
    found: dict[int, Path] = {}
    on_path = shutil.which("pg_dump")
    for each in [*(glob(f"{folder}/pg_dump") for folder in _FOLDERS), [on_path] if on_path else []]:
        for program in each:
            said = subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=False
            )
            if version := re.search(r" (\d+)", said.stdout):
                found[int(version[1])] = Path(program).parent
    if not found:
        raise BackupError(
            "There is no pg_dump here: install PostgreSQL's programs (on Debian and Ubuntu:"
            " apt-get install postgresql-client)."
        )
    return found


def _reason(said: bytes) -> str:
    """The first line of what a program says is wrong, without details: these have values."""
    lines = said.decode(errors="replace").splitlines()
    wrong = [line for line in lines if re.search(r"error:|ERROR:|FATAL:", line)] or lines or ["?"]
    reason = re.sub(r"^(?:\S+:|ERROR:|FATAL:|error:|\s)+(?= )", "", wrong[0]).strip()
    return reason if reason.endswith(".") else f"{reason}."
