import pytest

from recipes import create_app
from recipes.store import Recipe, connection


class Session:
    """Logs in and out."""

    def __init__(self, client):
        self._client = client

    def login(self, name="ann", password="secret", **kwargs):
        data = {"name": name, "password": password}
        return self._client.post("/auth/login", data=data, **kwargs)

    def logout(self):
        return self._client.post("/auth/logout")


@pytest.fixture
def app(tmp_path):
    app = create_app({"TESTING": True, "UPLOADS": str(tmp_path)})
    app.extensions["store"].add_user("ann", "secret")
    app.extensions["store"].add_user("bob", "secret")
    with app.app_context():
        connection.save(Recipe("soup", "Soup", 20))
        connection.save(Recipe("bread", "Bread", 150))
    yield app
    assert app.extensions["store"].open == 0


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def runner(app):
    return app.test_cli_runner()


@pytest.fixture
def auth(client):
    return Session(client)
