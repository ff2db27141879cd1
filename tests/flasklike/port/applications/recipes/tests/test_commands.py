from recipes.store import connection, load_schema


def test_load(app, runner):
    app.extensions["store"].recipes.clear()
    result = runner.invoke(args=["load"])
    assert result.output == "Loaded 2 recipes.\n"
    assert list(app.extensions["store"].recipes) == ["soup", "bread"]


def test_load_calls_the_function(runner, monkeypatch):
    calls = []

    def fake():
        calls.append(1)
        return 7

    monkeypatch.setattr("recipes.commands.load_schema", fake)
    assert "Loaded 7" in runner.invoke(args=["load"]).output
    assert calls == [1]


def test_groups(app, runner):
    assert runner.invoke(args=["users", "add", "eve"]).output == "Added eve.\n"
    assert app.extensions["store"].check("eve", "secret")
    assert runner.invoke(args=["tools", "count"]).output == "2\n"
    assert runner.invoke(args=["site", "--upper"]).output == "RECIPES\n"
    assert runner.invoke(args=["users", "add"]).exit_code == 2


def test_schema(app):
    with app.app_context():
        assert load_schema() == 2
        assert connection.find("bread").minutes == 150


def test_command_then_request(client, runner):
    assert runner.invoke(args=["users", "add", "eve"]).exit_code == 0
    response = client.post("/auth/login", data={"name": "eve", "password": "secret"})
    assert response.status_code == 302
