"""A log file that rotates and has no secrets in it: `quart --app app run`."""

from quart import Quart, request

from quartapp.logfile import LogFile

app = Quart(__name__)
LogFile(app)


@app.post("/login")
async def login() -> tuple[str, int]:
    form = await request.form
    app.logger.warning("login failed: name=%s password=%s", form["name"], form["password"])
    return "Wrong name or password.", 401


@app.get("/boom")
async def boom() -> str:
    token = request.args["token"]
    raise RuntimeError(f"the service refused {token}")
