"""No code that a stranger's input could turn into commands: it would need a reason in this list."""

import ast
from functools import cache

import pytest

from tests.setup.parts import ROOT
from tests.setup.test_environment import named_in

DANGEROUS = {
    "evaluates": ("eval", "exec", "compile", "__import__"),
    "runs programs": ("os.system", "os.popen", "subprocess.run", "subprocess.Popen"),
    "reads objects": ("pickle", "marshal", "shelve", "yaml", "jsonpickle"),
    "reads XML": ("xml.etree.ElementTree", "lxml", "xml.dom", "xml.sax"),
    "asks directories": ("ldap", "ldap3"),
    "fetches": ("urllib.request", "requests", "httpx", "aiohttp", "http.client", "h11"),
}
ALLOWED = {
    # The address for which the test client's cookies are kept; nothing is fetched.
    ("flasklike/testing/client.py", "urllib.request"),
    # The client of tests for other ASGI applications, whose transport calls the application.
    ("testing/applications.py", "httpx"),
    # A POST to the address that the operator has set, if it is a public one.
    ("reporting/webhooks/post.py", "h11"),
    # The debugger's prompt, which only the `dev` command has.
    ("debugger/page/prompt.py", "compile"),
    ("debugger/page/prompt.py", "eval"),
    ("debugger/server/process.py", "subprocess.Popen"),
    # The driver of PostgreSQL, by a constant name.
    ("database/drivers/limited.py", "__import__"),
    # pg_dump, pg_restore and psql, without a shell.
    ("database/backups/postgresql.py", "subprocess.Popen"),
    ("database/backups/postgresql.py", "subprocess.run"),
    # `git describe`, with constant arguments.
    ("reporting/capture/origin.py", "subprocess.run"),
    # What a worker serves, which its master sends it as `multiprocessing` sends everything.
    ("serving/process.py", "pickle"),
    # The server that tests start, and the code of its `-c`.
    ("testing/forkserver.py", "compile"),
    ("testing/forkserver.py", "exec"),
    ("testing/forkserver.py", "subprocess.Popen"),
    ("testing/server.py", "subprocess.Popen"),
    ("testing/mail.py", "subprocess.run"),
}


def used(tree: ast.AST) -> set[str]:
    """Modules, their names, and builtin functions that are called."""
    names = set(named_in(tree))
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module)):
                names.add(module)
            case ast.Call(func=ast.Name(id=name)):
                names.add(name)
    return names


@cache
def used_by_file() -> dict[str, set[str]]:
    folder = ROOT / "quartapp"
    return {
        str(path.relative_to(folder)): used(ast.parse(path.read_text("utf-8")))
        for path in folder.rglob("*.py")
    }


@pytest.mark.parametrize("what", DANGEROUS)
def test_nothing_dangerous_is_used_without_a_reason(what: str) -> None:
    found = {
        (path, name)
        for path, names in used_by_file().items()
        for name in names & set(DANGEROUS[what])
    }
    assert found <= ALLOWED, found - ALLOWED


def test_each_reason_is_needed() -> None:
    assert [(file, name) for file, name in ALLOWED if name not in used_by_file()[file]] == []
