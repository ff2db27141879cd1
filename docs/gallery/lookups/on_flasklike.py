"""`get_or_404`, and what `abort` rejects: it raises errors, and 201 is not an error."""

from quartapp.flasklike import App, abort

app = App(__name__)
USERS = {"susan": "Susan says hello."}


async def get_or_404(name: str) -> str:
    found = USERS.get(name)
    if found is None:
        abort(404, f"nobody is called {name}")
    return found


@app.get("/users/<name>")
async def user(name: str) -> str:
    return await get_or_404(name)


@app.get("/users/<name>/created")
async def created(name: str) -> str:
    abort(201)


@app.errorhandler(LookupError)
async def no_error(error: LookupError) -> tuple[str, int]:
    return f"abort refuses: {error}", 500
