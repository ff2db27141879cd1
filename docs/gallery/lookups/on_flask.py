"""`get_or_404`, and what `abort` rejects: it raises errors, and 201 is not an error."""

from flask import Flask, abort

app = Flask(__name__)
USERS = {"susan": "Susan says hello."}


def get_or_404(name: str) -> str:
    found = USERS.get(name)
    if found is None:
        abort(404, f"nobody is called {name}")
    return found


@app.get("/users/<name>")
def user(name: str) -> str:
    return get_or_404(name)


@app.get("/users/<name>/created")
def created(name: str) -> str:
    abort(201)


@app.errorhandler(LookupError)
def no_error(error: LookupError) -> tuple[str, int]:
    return f"abort refuses: {error}", 500
