"""What migrations may do while another version serves, and what a downgrade deletes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from quart.cli import ScriptInfo
from sqlalchemy import text

from quartapp.database import DatabaseEngine
from quartapp.database.migrations import lint
from quartapp.database.migrations.commands import db as commands
from tests.database.migrations.test_commands import make_app

Write = Callable[..., None]

CREATE = "op.create_table('customer', sa.Column('id', sa.Integer), sa.Column('name', sa.Text))"


def run(url: str, folder: Path, *arguments: str, typed: str = "") -> Result:
    script = ScriptInfo(create_app=lambda *_: make_app(url, folder))
    return CliRunner().invoke(commands, arguments, obj=script, input=typed)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("op.add_column('customer', sa.Column('city', sa.Text))", ""),
        ("op.add_column('customer', sa.Column('n', sa.Integer, nullable=False))", "NOT NULL and"),
        (
            "op.add_column('customer', sa.Column('n', sa.Integer, nullable=False,"
            " server_default='0'))",
            "",
        ),
        (
            "op.create_table('item', sa.Column('id', sa.Integer));"
            " op.create_index('ix_item_id', 'item', ['id'])",
            "",
        ),
        ("op.drop_table('customer')", "drops the table customer"),
        ("op.rename_table('customer', 'client')", "renames customer"),
        ("op.drop_column('customer', 'name')", "drops the column customer.name"),
        (
            "with op.batch_alter_table('customer') as batch: batch.drop_column('name')",
            "drops the column customer.name",
        ),
        ("op.alter_column('customer', 'name', new_column_name='title')", "renames customer"),
        ("op.alter_column('customer', 'name', nullable=False)", "alters the column customer.name"),
        ("op.alter_column('customer', 'name', type_=sa.String(9))", "alters the column"),
        ("op.create_index('ix_name', 'customer', ['name'])", "adds an index to customer without"),
        ("op.create_index('ix_name', 'customer', ['name'], postgresql_concurrently=True)", ""),
        ("op.drop_index('ix_name', 'customer')", "drops the index ix_name"),
        ("op.create_unique_constraint('uq_name', 'customer', ['name'])", "adds a constraint"),
        ("op.execute('UPDATE customer SET name = 1')", "updates rows of customer in one statement"),
        ("op.execute('DELETE FROM customer')", "deletes rows of customer"),
    ],
)
def test_what_versions_side_by_side_cannot_share_is_named(
    tmp_path: Path, write: Write, body: str, fault: str
) -> None:
    write(CREATE, body)
    found = lint(make_app("sqlite://", tmp_path), "a:head")
    assert len(found) == bool(fault)
    assert not fault or f"b {fault}" in found[0] or fault in found[0]
    result = run("sqlite://", tmp_path, "lint")
    assert (result.exit_code, fault in result.output) == (1 if fault else 0, True)


def test_a_migration_of_the_contract_phase_may_drop_what_no_version_uses(
    tmp_path: Path, write: Write
) -> None:
    write(CREATE, "op.drop_table('customer')")
    file = tmp_path / "migrations" / "versions" / "b.py"
    source = file.read_text()
    file.write_text(f"{source}\n\nphase = 'contract'\n")
    assert lint(make_app("sqlite://", tmp_path)) == []
    file.write_text(source.replace('"b"', '"b_incompatible"'))
    assert lint(make_app("sqlite://", tmp_path)) == []


def execute(url: str, *statements: str) -> list[tuple[int, ...]]:
    """The rows of the last statement."""

    async def go() -> list[tuple[int, ...]]:
        database = DatabaseEngine(url)
        async with database.begin() as session:
            results = [await session.execute(text(each)) for each in statements]
            rows = [tuple(row) for row in results[-1]]
        await database.dispose()
        return rows

    return asyncio.run(go())


@pytest.mark.slow
def test_a_downgrade_asks_before_it_deletes_data(
    each_database_url: str, tmp_path: Path, write: Write
) -> None:
    write(
        f"{CREATE}; op.create_table('item', sa.Column('id', sa.Integer), sa.Column('n', sa.Text))",
        undo="op.drop_table('customer'); op.drop_column('item', 'n')",
    )
    assert run(each_database_url, tmp_path, "upgrade").exit_code == 0
    # Nothing is asked where nothing is lost.
    assert run(each_database_url, tmp_path, "downgrade").exit_code == 0
    execute(each_database_url, "DROP TABLE item", "SELECT 1")
    assert run(each_database_url, tmp_path, "upgrade").exit_code == 0
    count = "SELECT count(*) FROM customer"
    execute(
        each_database_url,
        "INSERT INTO customer VALUES (1, 'susan'), (2, 'mary')",
        "INSERT INTO item VALUES (1, 'spoon'), (2, NULL)",
        count,
    )
    for typed in ("", "n\n"):
        result = run(each_database_url, tmp_path, "downgrade", typed=typed)
        assert result.exit_code == 1
        assert "the table customer (2 rows)" in result.output
        assert "the column item.n (1 values)" in result.output
        assert "Nothing was changed; --yes answers the question." in result.output
        assert execute(each_database_url, count) == [(2,)]
    assert run(each_database_url, tmp_path, "downgrade", typed="y\n").exit_code == 0


def test_what_cannot_be_listed_is_asked_too(
    each_database_url: str, tmp_path: Path, write: Write
) -> None:
    write(CREATE, undo="op.get_bind().execute(sa.text('SELECT 1')).scalar_one()")
    run(each_database_url, tmp_path, "upgrade")
    result = run(each_database_url, tmp_path, "downgrade")
    assert result.exit_code == 1
    assert "cannot be listed" in result.output
