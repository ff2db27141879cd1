"""The command line: port, show what would change, or check."""

from collections.abc import Sequence
from pathlib import Path

import click
import libcst as cst

from quartapp.flasklike.port import files, settings
from quartapp.flasklike.port.advice import advice, blocking_imports
from quartapp.flasklike.port.check import check
from quartapp.flasklike.port.coroutines import Coroutines
from quartapp.flasklike.port.findings import Finding, located
from quartapp.flasklike.port.inference import Inference
from quartapp.flasklike.port.names import IN_PLAIN_FUNCTIONS
from quartapp.flasklike.port.program import Program, Reader
from quartapp.flasklike.port.rewriting import rewritten


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns 0, 1 if `--check` found something, or 2 after an error."""
    try:
        return int(port.main(list(arguments), "quartapp.flasklike.port", standalone_mode=False))
    except click.ClickException as error:
        error.show()
    except files.PortError as error:
        click.echo(error, err=True)
    return 2


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--async/--plain",
    "convert",
    default=None,
    help="Make views `async def`, or leave them plain. Default: plain if the application imports a"
    " library that blocks, or an extension of Flask.",
)
@click.option("--diff", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--check", "checking", is_flag=True, help="Only look for forgotten awaits.")
def port(path: Path, convert: bool | None, diff: bool, checking: bool) -> int:
    """Port the Flask application in the folder PATH to quartapp.flasklike.

    Rewrites its Python files in place, and prints what is left to do. A second run changes nothing.
    """
    path = path.resolve() if path.is_symlink() else path
    root = path if path.is_dir() else path.parent
    program, passed = _read(path, root)
    if checking:
        return _check(program, root)
    convert, why = _choose(program, convert)
    click.echo(why, err=diff)
    coroutines = Coroutines(Inference(program), convert=convert)
    trees = {module: rewritten(module, coroutines) for module in program.modules}
    changes = {
        root / module.path: (module.tree.bytes, tree.bytes)
        for module, tree in trees.items()
        if not module.tree.deep_equals(tree)
    }
    if any(function.module.is_test for function in coroutines.marked):
        setting = settings.asyncio_mode(root, _loop_scope(coroutines))
        if setting is not None:
            changes[setting[0]] = setting[1:]
    if diff:
        for file, (before, after) in changes.items():
            for line in files.differences(file, before, after):
                click.echo(line)
        return 0
    files.replace({file: after for file, (_, after) in changes.items()})
    for file, (before, after) in changes.items():
        click.echo(f"{file}: {files.changed_lines(before, after)} lines changed")
    result = Program(
        [Reader(tree, module.path).module for module, tree in trees.items()], _package(root)
    )
    _report(result, root, passed, convert)
    return 0


def _loop_scope(coroutines: Coroutines) -> str:
    """One event loop for all tests if a fixture is shared by several."""
    shared = any(
        argument.keyword is not None and argument.keyword.value == "scope"
        for function in coroutines.marked
        if coroutines.inference.is_fixture(function)
        for decorator in function.decorators
        if isinstance(decorator, cst.Call)
        for argument in decorator.args
    )
    return "session" if shared else "function"


def _read(path: Path, root: Path) -> tuple[Program, list[tuple[Path, str]]]:
    found, passed = files.find(path)
    modules, errors = [], []
    for file in found:
        try:
            modules.append(Reader(files.parse(file), file.relative_to(root)).module)
        except files.PortError as error:
            errors.append(str(error))
        except RecursionError:
            errors.append(f"{file}: nested too deeply")
    if errors:
        raise files.PortError("\n".join(errors))
    return Program(modules, _package(root)), passed


def _package(folder: Path) -> str:
    """The dotted name of the package that a folder is, or ""."""
    names = []
    while (folder / "__init__.py").exists():
        names.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(names))


def _why(library: str) -> str:
    return "works only there" if library in IN_PLAIN_FUNCTIONS else "blocks"


def _choose(program: Program, convert: bool | None) -> tuple[bool, str]:
    blocking = [
        finding
        for module in program.modules
        if not module.is_test
        for finding in located(module, list(blocking_imports(module)))
    ]
    if convert is None:
        convert = not blocking
        why = (
            "nothing that the application imports blocks the event loop (--plain leaves them)"
            if convert
            else f"{blocking[0].text} {_why(blocking[0].text)},"
            f" imported at {blocking[0].path}:{blocking[0].line}"
            " (--async converts them nevertheless)"
        )
    else:
        why = "as the option says"
    return convert, f"Views {'become `async def`' if convert else 'stay plain `def`'}: {why}."


def _check(program: Program, root: Path) -> int:
    coroutines = Coroutines(
        Inference(program, ported=True),
        convert=False,
        declared=True,
        read_by_templates=files.read_by_templates(root),
    )
    found = list(check(coroutines))
    for finding in found:
        click.echo(finding)
    if found:
        click.echo(f"{len(found)} forgotten awaits", err=True)
    return 1 if found else 0


def _report(program: Program, root: Path, passed: list[tuple[Path, str]], convert: bool) -> None:
    coroutines = Coroutines(Inference(program), convert=convert)
    left: list[Finding] = [*advice(coroutines, convert=convert), *settings.named(root)]
    for file, reason in passed:
        click.echo(f"{file}: passed over: {reason}")
    if left:
        click.echo("\nLeft to do:")
    for finding in left:
        click.echo(finding)
