"""What ports of flaskr by hand had lost, though its own tests passed. Written for App."""

import sqlite3

from quartapp.flasklike.cli import ScriptInfo, cli


async def test_a_rejected_form_keeps_its_text(client, auth):
    await auth.login()
    page = (await client.post("/1/update", form={"title": "", "body": "typed text"})).text
    assert ">typed text</textarea>" in page
    assert 'value="test title"' in page
    page = (await client.post("/create", form={"title": "", "body": "more text"})).text
    assert ">more text</textarea>" in page


def test_init_db_makes_the_database(runner, app, tmp_path):
    app.config["DATABASE"] = str(tmp_path / "new.sqlite")
    result = runner.invoke(cli, ["init-db"], obj=ScriptInfo(create_app=lambda: app))
    assert (result.exit_code, result.output) == (0, "Initialized the database.\n")
    connection = sqlite3.connect(tmp_path / "new.sqlite")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"user", "post"} <= tables


async def test_a_stranger_sees_no_members_menu(client, auth):
    page = (await client.get("/")).text
    assert "Log In" in page
    assert "Log Out" not in page
    assert "New" not in page
    await auth.login()
    page = (await client.get("/")).text
    assert "Log Out" in page
    assert "Log In" not in page
