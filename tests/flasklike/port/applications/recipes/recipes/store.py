"""What would be a database."""

from dataclasses import dataclass, field
from datetime import date

from flask import current_app, g
from werkzeug.local import LocalProxy
from werkzeug.security import check_password_hash, generate_password_hash


@dataclass
class Recipe:
    slug: str
    title: str
    minutes: int = 30
    text: str = ""
    author: str = "ann"
    made: date = date(2024, 5, 1)
    tags: list[str] = field(default_factory=list)

    def as_dict(self):
        return {"slug": self.slug, "title": self.title, "minutes": self.minutes, "made": self.made}


class Connection:
    """Counts what is open."""

    def __init__(self, store):
        self.store = store
        store.open += 1

    def close(self):
        self.store.open -= 1

    def recipes(self):
        return list(self.store.recipes.values())

    def find(self, slug):
        return self.store.recipes.get(slug)

    def save(self, recipe):
        self.store.recipes[recipe.slug] = recipe
        return recipe

    def delete(self, slug):
        del self.store.recipes[slug]


class Store:
    def __init__(self):
        self.recipes = {}
        self.users = {}
        self.visits = 0
        self.open = 0

    def add_user(self, name, password):
        self.users[name] = generate_password_hash(password, method="pbkdf2:sha1:1")

    def check(self, name, password):
        return name in self.users and check_password_hash(self.users[name], password)


def get_connection():
    """The connection of this request, opened when it is first needed."""
    if "connection" not in g:
        g.connection = Connection(current_app.extensions["store"])
    return g.connection


connection = LocalProxy(get_connection)


def load_schema():
    """Recipes of a text file in the package."""
    with current_app.open_resource("recipes.txt") as f:
        for line in f.read().decode("utf8").splitlines():
            slug, title, minutes = line.split("|")
            connection.save(Recipe(slug, title, int(minutes)))
    return len(connection.recipes())
